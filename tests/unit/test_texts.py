"""The one filter of all texts: what is a link, what is code, and what no text can do."""

import re
import time

import pytest
from django.utils.html import escape

from queries_app.previews import MAX_TITLE, headline
from web.links import MAX_LINKS, named_in
from web.texts import MAX_CHARACTERS, MAX_LINES, excerpt, html_of

LINK = '<a href="{0}" rel="nofollow">{0}</a>'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Plain", "<p>Plain</p>"),
        ("One\nline  two\n\n\nNext", "<p>One\nline  two</p><p>Next</p>"),
        ("**no** _Markdown_ # here", "<p>**no** _Markdown_ # here</p>"),
        ("<b>&amp;</b>", "<p>&lt;b&gt;&amp;amp;&lt;/b&gt;</p>"),
        ("See https://x.org/a.", f"<p>See {LINK.format('https://x.org/a')}.</p>"),
        ("(http://x.org/a_(b)?)", f"<p>({LINK.format('http://x.org/a_(b)')}?)</p>"),
        ("[(http://x.org):]", f"<p>[({LINK.format('http://x.org')}):]</p>"),
        (
            "http://x.org/?a=1&copy=2",
            f"<p>{LINK.format('http://x.org/?a=1&amp;copy=2')}</p>",
        ),
        ("Ask @alice, @b.c@d!", '<p>Ask <a href="/people/alice/">@alice</a>, '
         '<a href="/people/b.c@d/">@b.c@d</a>!</p>'),
        ("a\n    b", "<p>a\n    b</p>"),
        ("a\n\n    b\n\n      c\n\nd", "<p>a</p><pre><code>b\n\n  c</code></pre><p>d</p>"),
        ("\tx < y", "<pre><code>x &lt; y</code></pre>"),
        ("a\n```py\nx @b http://y.z\n\n```\nc",
         "<p>a</p><pre><code>x @b http://y.z\n</code></pre><p>c</p>"),
        ("~~~~\n```\n~~~\n~~~~~\na", "<pre><code>```\n~~~</code></pre><p>a</p>"),
        ("```\nnever closed\n\na", "<pre><code>never closed\n\na</code></pre>"),
        ("```\n```", "<p>```\n```</p>"),
    ],
)  # fmt: skip
def test_a_text_becomes_paragraphs_links_and_code(text: str, html: str) -> None:
    assert html_of(text, {"alice", "b.c@d"}) == html


def test_a_name_of_nobody_is_text() -> None:
    text = "@alice, (@bob): @property a@carol ```\n\n    @dave"
    assert html_of(text, {"alice"}).count("<a ") == 1
    assert excerpt(f"Title\n{text}", {"alice"}).body.count("<a ") == 1
    assert named_in(text) == {"alice", "bob", "property", "dave"}


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)", "JAVASCRIPT://x%0aalert(1)", "data:text/html,x", "ftp://x.org",
        "//x.org", "x.org", "www.x.org", "mailto:a@b.org", "a@b.org", "http://", "http://[::1",
        "file:///etc/passwd", "@", "@@ -1 +1", "HEAD@{1}", "@types/node", "@.", "https:x.org",
        "http://x.org/cut…", "http://" + "x" * 3_000,
    ],
)  # fmt: skip
def test_nothing_else_is_a_link(text: str) -> None:
    assert html_of(text) == f"<p>{escape(text)}</p>"


def test_a_character_that_is_not_seen_ends_a_link() -> None:
    html = html_of("http://good.example/\u202emoc.live\u202c http://a\u200bb")
    assert re.findall('href="([^"]*)"', html) == ["http://good.example/", "http://a"]


def test_no_text_leaves_its_attribute_or_element() -> None:
    for text in ('http://x"onload=y', "http://x'><script>", "@a'b", "```\n</code></pre><script>"):
        html = html_of(text)
        assert "<script" not in html
        assert set(re.findall(r"<(/?\w+)", html)) <= {"p", "/p", "a", "/a", "pre", "/pre", "code", "/code"}  # fmt: skip  # noqa: E501
        assert re.sub(r' (href|rel|tabindex)="[^"<>]*"', "", html).count('"') == 0


def test_code_that_may_not_fit_is_reached_by_keyboard() -> None:
    assert html_of(f"\t{'x' * 25}").startswith('<pre tabindex="0">')
    assert html_of(f"\t{'x' * 24}").startswith("<pre><code>")
    for wide in ("\t" * 4 + "x", "\u8a9e" * 13):
        assert html_of(f"\t{wide}").startswith('<pre tabindex="0">')


def test_a_text_has_so_many_links_and_no_more() -> None:
    assert html_of("http://a " * 5_000).count("<a ") == MAX_LINKS
    assert html_of("@a\n\n" * 5_000, {"a"}).count("<a ") == MAX_LINKS
    assert len(named_in("".join(f"@a{number} " for number in range(5_000)))) == MAX_LINKS


HOSTILE = {
    "one word": "x",
    "links": "http://a ",
    "names": "@a ",
    "fences": "```\n",
    "fences within fences": "".join(f"{'`' * n}\n" for n in range(3, 60)),
    "backticks": "`",
    "closing": "http://a" + ")" * 2_000 + " ",
    "opening and closing": "http://a" + "(" * 900 + ")" * 1_000 + " ",
    "entities": "http://a" + "&;" * 900 + " ",
    "percent": "http://a/" + "%" * 2_000 + " ",
    "empty lines": "\n",
    "code and empty lines": "    a\n\n",
    "tabs": "\t",
    "overrides": "\u202e",
    "elements": "<b>",
    "at": "@",
}


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_no_text_is_expensive(unit: str) -> None:
    """Under a second, where a step that looks at each character for each takes minutes."""
    text = unit * (300_000 // len(unit)) + "a"
    begun = time.process_time()
    html_of(text, {"a"}), excerpt(text), named_in(text)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("text", "title", "body", "more"),
    [
        ("Only a line", "Only a line", "", False),
        ("T\n\nb1\nb2\n\nb3\nb4", "T", "<p>b1\nb2</p><p>b3\nb4</p>", False),
        ("T\nb1\nb2\nb3\nb4\nb5", "T", "<p>b1\nb2\nb3\nb4</p>", True),
        ("T\n    b1", "T", "<p>    b1</p>", False),
        ("T\n\n\tb1\n\n\tb2", "T", "<pre><code>b1\n\nb2</code></pre>", False),
        ("```\nx\n```\ny", "", "<pre><code>x</code></pre><p>y</p>", False),
        ("\u200b\nx", "", "<p>\u200b\nx</p>", False),
        ("http://x.org & <y>", "http://x.org & <y>", "", False),
    ],
)
def test_a_list_shows_a_first_line_and_four_more(
    text: str, title: str, body: str, more: bool
) -> None:
    assert excerpt(text) == (title, body, more)
    assert MAX_LINES == 4


def test_a_long_line_is_no_title_and_ends_at_a_word() -> None:
    title, body, more = excerpt("word " * 2_000)
    assert (title, more) == ("", True)
    assert body.endswith("word…</p>")
    assert len(body) <= MAX_CHARACTERS + len("<p>…</p>")


def test_a_long_word_behind_a_short_one_is_shown_as_far_as_there_is_room() -> None:
    assert len(excerpt("A " + "x" * 9_998).body) > MAX_CHARACTERS // 2
    assert len(headline("A " + "x" * 9_998)) == MAX_TITLE


@pytest.mark.parametrize("text", ["x" * 10_000, " " * 500 + "x", "http://a/" + "x" * 9_000])
def test_a_long_word_is_cut_and_no_link(text: str) -> None:
    body = excerpt(text).body
    assert "<a " not in body
    assert len(body) < MAX_CHARACTERS + 40
