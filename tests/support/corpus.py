"""The corpus of bad input in tests/corpus, one case a line; its README.md has the notation."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parents[1] / "corpus"
KINDS = ["command", "query", "header", "path", "form", "line", "record"]

REPEATED = re.compile(r"<<(.+?) \* ([0-9]+)>>")
BYTE = re.compile(rb"\\x([0-9a-f]{2})")
NAMED = re.compile(r"\$([A-Z]+)")

# What the texts of the corpus call by name. The world of tests/support/corpus_world.py has the
# posts and comments; nothing has the id ABSENT.
IDS = {
    "POST": "10000000-0000-4000-8000-000000000001",  # alice's, with comments
    "BOBS": "20000000-0000-4000-8000-000000000002",  # bob's post
    "REMOVED": "30000000-0000-4000-8000-000000000003",  # was alice's
    "COMMENT": "40000000-0000-4000-8000-000000000004",  # alice's, on POST
    "REMARK": "50000000-0000-4000-8000-000000000005",  # bob's, on POST
    "GONE": "60000000-0000-4000-8000-000000000006",  # was alice's comment on POST
    "ELSEWHERE": "70000000-0000-4000-8000-000000000007",  # alice's comment on BOBS
    "ABSENT": "80000000-0000-4000-8000-000000000008",
}


class Case(NamedTuple):
    """A line of the corpus. What it is sent to, and how, stands in the heading above it."""

    kind: str
    target: str
    options: dict[str, str]
    expected: str
    name: str
    written: str  # the input as it stands in the file

    def __str__(self) -> str:
        options = "".join(f" {key}={value}" for key, value in self.options.items())
        return f"{self.kind} [{self.target}{options}] {self.name}"

    def text(self, **names: str) -> str:
        """The input, with what is named or repeated written out."""
        return written_out(self.written, names)

    def raw(self, **names: str) -> bytes:
        """The same in UTF-8, with the bytes that are written as \\xff."""
        return as_bytes(self.text(**names))


def cases(kind: str) -> list[Case]:
    return list(_parsed(kind, (FOLDER / f"{kind}.txt").read_text(encoding="utf-8")))


def written_out(text: str, names: dict[str, str] | None = None) -> str:
    known = {**IDS, **(names or {})}
    text = REPEATED.sub(lambda found: found[1] * int(found[2]), text)
    return NAMED.sub(lambda found: known[found[1]], text)


def as_bytes(text: str) -> bytes:
    return BYTE.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode())


def _parsed(kind: str, text: str) -> Iterator[Case]:
    target, options = "", dict[str, str]()
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("["):
            target, *rest = written_out(line.strip()[1:-1]).split(" ")
            options = dict(one.split("=", 1) for one in rest)
            continue
        parts = line.split("|", 2)
        assert len(parts) == 3, f"{kind}.txt, line {number}: not `expected | name | input`"
        expected, name, written = parts
        yield Case(kind, target, options, expected.strip(), name.strip(), written.removeprefix(" "))
