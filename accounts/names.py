"""The rule of names: what a new account may be called. `User.save` asks, whoever makes one.

A name is the actor of events for ever, stands in addresses, and is how readers know people
from each other. Why so: docs/decisions/0026-names.md.
"""

import json
import unicodedata
from bisect import bisect_right
from functools import cache
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError

PUNCTUATION = "._-+@"
MAX_LENGTH = 150
KEY_LENGTH = 600  # enough for readers, and short enough for an index of PostgreSQL
MADE_OF = "A name is made of letters of one script, digits and . _ - + @"


def check(name: str) -> None:
    """Raise a `ValidationError` that says why nobody can be called so."""
    if len(name) > MAX_LENGTH:
        raise ValidationError(f"A name has at most {MAX_LENGTH} characters.", code="invalid")
    if not unicodedata.is_normalized("NFKC", name):
        raise ValidationError(f"{MADE_OF}, each in its usual form (NFKC).", code="invalid")
    for character in name:
        if character not in PUNCTUATION and _scripts(character) is None:
            raise ValidationError(f"{MADE_OF}, not of {_called(character)}.", code="invalid")
    letters = [one for one in name if one not in PUNCTUATION]
    if not letters:
        raise ValidationError("A name has a letter or a digit.", code="invalid")
    _check_script(letters)
    zeros = {ord(one) - unicodedata.decimal(one) for one in letters if one.isdecimal()}
    if len(zeros) > 1:
        raise ValidationError("The digits of a name are of one kind.", code="invalid")


def casefolded(name: str) -> str:
    """Equal for names that differ in case: LOWER() of SQLite knows ASCII alone."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return unicodedata.normalize("NFKC", folded)[:KEY_LENGTH]


def skeleton(name: str) -> str:
    """What the name looks like, as it is written and with its case folded: equal for names that
    are taken for each other (UTS #39, 4). In Ivan the I looks like l; in ivan it does not."""
    mapped = _prototypes(unicodedata.normalize("NFKC", name))
    return _prototypes(mapped.casefold())[:KEY_LENGTH]


def _prototypes(text: str) -> str:
    confusables = _table()["confusables"]
    mapped = "".join(confusables.get(c, c) for c in unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFD", mapped)


def _check_script(letters: list[str]) -> None:
    common: set[str] | None = None
    first = ""
    for letter in letters:
        scripts = set((_scripts(letter) or "").split())
        if not scripts:
            continue  # of any
        if common is not None and not common & scripts:
            raise ValidationError(
                f"{MADE_OF}: {_called(first)} and {_called(letter)} are of two scripts.",
                code="invalid",
            )
        common = scripts if common is None else common & scripts
        first = first or letter


def _scripts(character: str) -> str | None:
    """The short names of the scripts that a letter or digit is of, "" for any; None: no name
    has this character."""
    ranges = _table()["letters"]
    at = bisect_right(ranges, ord(character), key=lambda one: one[0]) - 1
    _, last, scripts = ranges[at] if at >= 0 else (0, -1, "")
    return scripts if ord(character) <= last else None


def _called(character: str) -> str:
    """In words, because it may not be seen, or may turn around what stands beside it."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()


@cache
def _table() -> dict[str, Any]:
    """Of Unicode: made by unicode/make_table.py, which says from what."""
    path = Path(__file__).parent / "unicode" / "names.json"
    return dict(json.loads(path.read_text(encoding="ascii")))
