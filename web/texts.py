"""A text that people wrote, as HTML. All pages show texts by this one filter.

No Markdown: paragraphs, links and code. Code is what stands between two lines of ``` or ~~~, and
what is indented by four spaces or a tab after an empty line. Each step looks at each character a
fixed number of times, so that no text is expensive.
"""

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from web.links import CUT, Links

FENCE = re.compile(r" {0,3}(`{3,}+|~{3,}+)([^`]*)")
INDENT = "    "
MAX_TITLE = 100  # characters; a longer first line is no title, but a paragraph
MAX_LINES = 4  # of an excerpt, below its title
MAX_CHARACTERS = 360
NARROW = 24  # columns of code that fit into any window


class Block(NamedTuple):
    """A paragraph, or lines of code."""

    lines: list[str]
    is_code: bool = False


class Excerpt(NamedTuple):
    """A text in a list."""

    title: str  # its first line; "" where that is long, or code
    body: SafeString
    more: bool  # whether something is left out


def html_of(text: str, people: Collection[str] = ()) -> SafeString:
    """The whole text as HTML: `<p>` and `<pre>` elements. An @name of one of these people is a link
    (`web.links.people_in` says who they are).

    >>> html_of("See https://example.org/a.")
    '<p>See <a href="https://example.org/a" rel="nofollow">https://example.org/a</a>.</p>'
    """
    found = blocks(text) or [Block([text])]  # where there are only fences
    return _html(found, people)


def without_marks(text: str) -> str:
    """What a reader sees of the text, without the marks around code.

    >>> without_marks("Try\n```py\npass\n```")
    'Try\npass'
    """
    found = blocks(text) or [Block([text])]
    return "\n".join(line for block in found for line in block.lines)


def excerpt(text: str, people: Collection[str] = ()) -> Excerpt:
    """The first line as a title, and the four lines after it."""
    found = blocks(text) or [Block([text])]
    title, first = "", found[0]
    if not first.is_code and len(first.lines[0]) <= MAX_TITLE and _is_seen(first.lines[0]):
        title = first.lines[0].strip()
        found = [first._replace(lines=first.lines[1:]), *found[1:]]
    kept, more = _first_lines(found)
    return Excerpt(title, _html(kept, people), more)


def blocks(text: str) -> list[Block]:
    """The parts of a text. A fence that is never closed ends with the text."""
    found: list[Block] = []
    now: Block | None = None
    fence, empty = "", 0  # what closes the code; lines that may lie within it, or after it
    for line in text.split("\n"):
        mark = FENCE.fullmatch(line)
        if fence:
            if mark and not mark[2].strip() and mark[1].startswith(fence):
                fence, now = "", None
            elif now is not None:
                now.lines.append(line)
        elif mark and not (mark[1][0] == "`" and "`" in mark[2]):
            fence, now = mark[1], Block([], is_code=True)
            found.append(now)
        elif not line.strip():
            empty += 1
            now = now if now and now.is_code else None
        elif _is_indented(line) and (now is None or now.is_code):
            if now is None:
                now = Block([], is_code=True)
                found.append(now)
            elif empty:
                now.lines.extend([""] * empty)
            now.lines.append(line[1:] if line[0] == "\t" else line[len(INDENT) :])
            empty = 0
        else:
            if now is None or now.is_code:
                now = Block([])
                found.append(now)
            now.lines.append(line)
            empty = 0
    return [one for one in found if any(one.lines)]


def _is_indented(line: str) -> bool:
    return line.startswith(("\t", INDENT))


def _is_seen(line: str) -> bool:
    return any(one.isprintable() and not one.isspace() for one in line)


def _first_lines(found: Iterable[Block]) -> tuple[list[Block], bool]:
    kept: list[Block] = []
    lines, characters = MAX_LINES, MAX_CHARACTERS
    for block in found:
        part = Block([], block.is_code)
        kept.append(part)
        for line in block.lines:
            if lines == 0 or characters <= 0:
                return kept, True
            if len(line) > characters:
                part.lines.append(shortened(line, characters))
                return kept, True
            part.lines.append(line)
            lines -= 1
            characters -= len(line)
    return kept, False


def shortened(line: str, length: int) -> str:
    """The beginning of a line that is longer, cut between words unless that leaves less than half.

    >>> shortened("one two three", 9)
    'one two…'
    """
    space = line.rfind(" ", length // 2, length)
    return f"{line[: space if space > 0 else length - 1].rstrip()}{CUT}"


def _html(found: Iterable[Block], people: Collection[str]) -> SafeString:
    links = Links(people)
    parts = [_code(one) if one.is_code else _paragraph(one, links) for one in found if one.lines]
    return mark_safe("".join(parts))


def _paragraph(block: Block, links: Links) -> str:
    return f"<p>{links.in_text(chr(10).join(block.lines))}</p>"


def _code(block: Block) -> str:
    # What scrolls has to be reached by keyboard.
    focus = ' tabindex="0"' if max(map(_columns, block.lines)) > NARROW else ""
    return f"<pre{focus}><code>{escape(chr(10).join(block.lines))}</code></pre>"


def _columns(line: str) -> int:
    """At most so many: no character is wider than it is long in UTF-8."""
    return len(line.expandtabs().encode(errors="surrogatepass"))
