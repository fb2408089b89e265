"""Avatars: an initial that is seen, on a hue that it is readable on."""

import re
from pathlib import Path

import pytest

from queries_app.templatetags.people import HUES, avatar

CSS = (Path(__file__).parents[2] / "static" / "postlog.css").read_text()


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_white_is_readable_on_every_hue() -> None:
    hues = dict(re.findall(r"^\.hue-(\d+) \{ background: (#[0-9a-f]{6}); \}$", CSS, re.M))
    assert sorted(map(int, hues)) == list(range(HUES))
    assert len(set(hues.values())) == HUES
    for colour in hues.values():
        assert 1.05 / (luminance(colour) + 0.05) >= 4.5, colour


def test_an_avatar_has_no_inline_style_and_is_the_same_for_a_name_everywhere() -> None:
    assert avatar("alice") == '<span class="avatar hue-11" aria-hidden="true">A</span>'
    hues = {re.findall(r"hue-\d+", avatar(f"person{number}"))[0] for number in range(200)}
    assert len(hues) == HUES


@pytest.mark.parametrize(
    ("name", "initial"),
    [("éric", "É"), ("ß", "S"), ("..bob", "B"), ("7up", "7"), ("李", "李"), ("\u202egnp", "G"),
     ("<b>", "B"), ("", "?"), ("...", "?"), ("\ud800", "?"), ("&", "?")],
)  # fmt: skip
def test_an_initial_is_a_letter_or_a_digit_of_any_name(name: str, initial: str) -> None:
    assert f">{initial}</span>" in avatar(name)
