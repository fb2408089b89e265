"""What a word is, for the index of the search and for whoever looks for one.

Case, accents and English endings make no difference: "Tomatoes" is found by "tomato", "café" by
"cafe". All else separates words, so nothing in a query is an operator. One definition for both
databases (docs/decisions/0043-search.md); after a change of it, raise the version of the
projection.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from threading import Lock

from Stemmer import Stemmer

MAX_WORD = 64  # characters that count of one
EXCERPT = 240  # characters
BEFORE = 60  # of them in front of the first hit
KEPT = 20_000  # words

BEGIN = r"[^\W_]"  # of a word: a letter or a digit

_stemmer, _alone = Stemmer("english"), Lock()  # it is not safe for threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some text, and whether it is a word that was looked for."""

    text: str
    hit: bool


@cache
def word() -> re.Pattern[str]:
    """Finds words. It has signs that stand within one, such as accents and vowels, which `\\w` does
    not take: found on first use, as most processes need them late or never."""
    marks = "".join(c for c in map(chr, range(0x10000)) if unicodedata.category(c)[0] == "M")
    return re.compile(rf"{BEGIN}+(?:[{marks}]+{BEGIN}*)*")


def words_of(text: str) -> str:
    """The words of a text as the index holds them: each once, sorted, a space between them."""
    return " ".join(sorted({_normal(found[0][:MAX_WORD]) for found in word().finditer(text)}))


def excerpt(text: str, wanted: Collection[str]) -> list[Piece]:
    """About 240 characters of the text, from shortly before the first of the wanted words, as
    pieces that follow each other."""
    found = word().finditer(text)
    hits = [one.span() for one in found if _normal(one[0][:MAX_WORD]) in wanted]
    first = hits[0][0] if hits else 0
    begin = 0 if first <= BEFORE else _after_space(text, first - BEFORE, first)
    end = _whole_words(text, begin, begin + EXCERPT)
    pieces = list(_pieces(text, begin, end, hits))
    if begin:
        pieces.insert(0, Piece(text="… ", hit=False))
    if end < len(text):
        pieces.append(Piece(text=" …", hit=False))
    return pieces


def _pieces(text: str, begin: int, end: int, hits: Collection[tuple[int, int]]) -> Iterator[Piece]:
    at = begin
    for start, stop in hits:
        if start >= end:
            break
        if start > at:
            yield Piece(text=text[at:start], hit=False)
        at = min(stop, end)
        yield Piece(text=text[start:at], hit=True)
    if at < end:
        yield Piece(text=text[at:end], hit=False)


def _after_space(text: str, begin: int, end: int) -> int:
    """Where the first whole word between the two begins; else `begin`."""
    space = re.compile(r"\s").search(text, begin, end)
    return space.end() if space else begin


def _whole_words(text: str, begin: int, end: int) -> int:
    """The end of the last whole word between the two; else `end`."""
    if end >= len(text):
        return len(text)
    space = text.rfind(" ", begin + EXCERPT // 2, end + 1)
    return end if space < 0 else space


@lru_cache(maxsize=KEPT)
def _normal(word: str) -> str:
    if not word.isascii():
        # One form of what looks alike, without accents.
        decomposed = unicodedata.normalize("NFKD", word).casefold()
        word = "".join(filter(str.isalnum, decomposed)) or word
    with _alone:
        found: str = _stemmer.stemWord(word.casefold()[:MAX_WORD])
    return found
