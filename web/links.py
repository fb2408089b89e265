"""Links in a text that people wrote: addresses that begin with http or https, and @names of
people.

Not Django's `urlize`: that guesses (example.com, mailto), takes "&copy=2" in an address for a
copyright sign, and loses the colon of "(see http://x.org):".
"""

import re
from collections.abc import Collection, Iterable
from itertools import islice

from django.utils.html import MAX_URL_LENGTH, escape, format_html, smart_urlquote
from django.utils.safestring import SafeString

from web.people import address_of, with_accounts

MAX_LINKS = 200  # a text; whatever comes after them stays text
MAX_NAMES = 500  # a page; others stay text too
CUT = "…"
# Characters that cannot be seen, or that turn around what stands beside them. An address that
# holds one would look like another.
UNSEEN = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
BETWEEN_WORDS = re.compile(rf"([\s<>\"'{UNSEEN}]+)")
ADDRESS = re.compile(r"https?://\[?\w", re.IGNORECASE)
NAME = re.compile(r"@(\w[\w.+@-]{0,149})")
PUNCTUATION = ".,:;!?"  # at the end of a sentence, not of an address
PAIRS = {")": "(", "]": "["}


class Links:
    """Makes the links of one text; of its @names those of these people."""

    def __init__(self, people: Collection[str]) -> None:
        self.left = MAX_LINKS
        self._people = people

    def in_text(self, text: str) -> str:
        """The text as HTML."""
        if self.left > 0 and ("://" in text or "@" in text):
            return "".join(map(self._word, BETWEEN_WORDS.split(text)))
        return escape(text)

    def _word(self, word: str) -> str:
        if self.left > 0 and _may_link(word):
            lead, middle, trail = trimmed(word)
            if link := self._link(middle):
                self.left -= 1
                return f"{escape(lead)}{link}{escape(trail)}"
        return escape(word)

    def _link(self, word: str) -> SafeString | None:
        if ADDRESS.match(word):
            return format_html('<a href="{}" rel="nofollow">{}</a>', smart_urlquote(word), word)
        found = NAME.fullmatch(word)
        if found and found[1] in self._people and (address := address_of(found[1])):
            return format_html('<a href="{}">{}</a>', address, word)
        return None


def named_in(text: str) -> set[str]:
    """What stands behind an @ and can be a name: `@nobody` or `@property`, too."""
    if "@" not in text:
        return set()
    words = (one for one in BETWEEN_WORDS.split(text) if one.lstrip("([").startswith("@"))
    found = (NAME.fullmatch(trimmed(one)[1]) for one in islice(words, MAX_LINKS))
    return {one[1] for one in found if one}


def people_in(texts: Iterable[str]) -> frozenset[str]:
    """The people whom the texts name, by at most one query."""
    names = dict.fromkeys(name for text in texts for name in sorted(named_in(text)))
    return with_accounts(list(islice(names, MAX_NAMES)))


def trimmed(word: str) -> tuple[str, str, str]:
    """What stands before an address, the address, and what stands after it.

    >>> trimmed("(http://x.org/a_(b)):")
    ('(', 'http://x.org/a_(b)', '):')
    """
    middle = word.lstrip("([")
    lead = word[: len(word) - len(middle)]
    # How many were never opened within the address.
    unopened = {one: middle.count(one) - middle.count(PAIRS[one]) for one in PAIRS}
    end = len(middle)
    while end:
        last = middle[end - 1]
        if last not in PUNCTUATION:
            if unopened.get(last, 0) <= 0:
                break
            unopened[last] -= 1
        end -= 1
    return lead, middle[:end], middle[end:]


def _may_link(word: str) -> bool:
    """An address that was cut off leads elsewhere."""
    is_whole = len(word) <= MAX_URL_LENGTH and not word.endswith(CUT)
    return is_whole and ("://" in word or "@" in word)
