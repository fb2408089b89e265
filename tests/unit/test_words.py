"""What a word is for the search, and what an excerpt shows."""

import subprocess
import sys

import pytest

from queries_app.words import EXCERPT, MAX_WORD, Piece, excerpt, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Tomatoes, tomato; TOMATO!", "tomato"),
        ("post_id in messaging/rows.py", "id in messag post py row"),
        ("don't", "don t"),
        ("café cafe\u0301 CAFE\u0301 cafe", "cafe"),
        ("Straße STRASSE", "strass"),
        ("\uff34\uff4f\uff4d\uff41\uff54\uff4f", "tomato"),  # of full width
        ("2nd of 1,000", "000 1 2nd of"),
        ("हिन्दी", "हनद"),  # one word: vowels are signs within it
        ("שלום עולם", "שלום עולם"),
        ("日本語", "日本語"),
        ("x" * 10_000, "x" * MAX_WORD),
        ("\u037a \ufdfa", "\u03b9 صلىاللهعليهوسلم"),  # of which a mark, and spaces, would be left
        ("", ""),
        ("\"*-:_'\\ \0\ud800 👍 \u202e \u0301", ""),
    ],
)
def test_case_accents_endings_and_punctuation_make_no_difference(text: str, words: str) -> None:
    assert words_of(text) == " ".join(sorted(words.split()))


def test_a_process_that_searches_nothing_does_not_look_at_all_characters() -> None:
    made = "from queries_app.words import word; print(word.cache_info().currsize)"
    found = subprocess.run([sys.executable, "-c", made], capture_output=True, text=True, check=True)
    assert found.stdout == "0\n"


@pytest.mark.parametrize("before", ["", "a " * 20, "a " * 2_000, "a" * 4_000])
@pytest.mark.parametrize("after", ["", " b" * 20, " b" * 2_000, "b" * 4_000])
def test_an_excerpt_is_short_and_shows_the_first_hit(before: str, after: str) -> None:
    text = f"{before}«Tomatoes» tomato{after}"
    pieces = excerpt(text, {"tomato"})
    assert next(piece.text for piece in pieces if piece.hit) == "Tomatoes"
    shown = "".join(piece.text for piece in pieces)
    assert shown.strip("… ") in text
    assert len(shown) <= EXCERPT + 4
    assert shown.startswith("… ") == (len(before) > 60)
    assert shown.endswith(" …") == (len(after) > 200)


def test_an_excerpt_without_a_hit_is_the_beginning() -> None:
    assert excerpt("short", {"tomato"}) == [Piece(text="short", hit=False)]
    assert excerpt("", {"tomato"}) == []
