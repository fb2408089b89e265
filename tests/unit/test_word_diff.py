"""What an edit changed, by words."""

import re
import time
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.word_diff import MAX_CHANGES, html_of_edit

FOLDED = "<details><summary>{} unchanged</summary>{}</details>"


@pytest.mark.parametrize(
    ("old", "new", "html"),
    [
        ("a red house", "a blue house", "<p>a <del>red</del><ins>blue</ins> house</p>"),
        ("one two", "one and two", "<p>one <ins>and </ins>two</p>"),
        ("one, two", "one two", "<p>one<del>,</del> two</p>"),
        ("<b>", "<i>", "<p>&lt;<del>b</del><ins>i</ins>&gt;</p>"),
        ("first", "second", "<p><del>first</del><ins>second</ins></p>"),
        # What is left between two changes by chance is no reason to read them in pieces.
        (
            "we went home in the dark",
            "we walked slowly in bright light",
            "<p>we <del>went home in the dark</del><ins>walked slowly in bright light</ins></p>",
        ),
        (
            "Same.\n\nAlso same.\n\nred\n\nLast.",
            "Same.\n\nAlso same.\n\nblue\n\nLast.",
            FOLDED.format("2 paragraphs", "<p>Same.</p><p>Also same.</p>")
            + "<p><del>red</del><ins>blue</ins></p>"
            + FOLDED.format("1 paragraph", "<p>Last.</p>"),
        ),
        (
            "One.\n\nTwo.\n\n",
            "One.\n\nNew.\n\nTwo.\n\n",
            FOLDED.format("1 paragraph", "<p>One.</p>")
            + "<p><ins>New.\n\n</ins>Two.</p>",
        ),
        ("a\nb", "a b", "<p>a<del>\n</del><ins> </ins>b</p>"),
        ("a\nb", "c", "<p><del>a\nb</del><br><ins>c</ins></p>"),
        ("\n\na red", "\n\na blue", "<p>a <del>red</del><ins>blue</ins></p>"),
    ],
)  # fmt: skip
def test_an_edit_shows_its_words_and_folds_the_rest(old: str, new: str, html: str) -> None:
    assert html_of_edit(old, new) == html


TEXT = st.text(st.sampled_from("ab .\n<&"), max_size=60)


@given(TEXT, TEXT)
def test_both_texts_can_be_read_from_an_edit(old: str, new: str) -> None:
    """But for empty lines, between and within paragraphs that are the same."""
    html = html_of_edit(old, new)
    for text, other in ((old, "ins"), (new, "del")):
        left = re.sub(rf"<{other}>[^<]*</{other}>|<summary>[^<]*</summary>", "", html)
        shown = unescape(re.sub("<[^>]*>", "", left))
        assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", text)


HOSTILE = {
    "one character": ("." * 10_000, "." * 9_999 + "!"),
    "one word": ("a " * 5_000, "a " * 4_999 + "b "),
    "nothing in common": ("." * 10_000, "!" * 10_000),
    "each other word": ("a b " * 2_500, "b a " * 2_500),
    "of few words": (".!?.;,!" * 1_400, "?;.,.!." * 1_400),
    "empty lines": ("\n\na" * 3_300, "\n\nb" * 3_300),
    "all changed a little": ("a, b. " * 1_600, "a; b! " * 1_600),
}


@pytest.mark.parametrize(("old", "new"), HOSTILE.values(), ids=HOSTILE)
def test_no_edit_is_expensive_or_a_page_of_fragments(old: str, new: str) -> None:
    """30 ms; difflib takes 10 s for some of these."""
    begun = time.process_time()
    html = html_of_edit(old, new)
    assert time.process_time() - begun < 2
    assert html.count("<del>") <= MAX_CHANGES + 1
    assert len(html) < 5 * (len(old) + len(new))
