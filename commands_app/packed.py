"""A mapping that is stored and loaded as one string, as most of its entries are never read.

A post may have 10,000 comments, and a command asks about one of them. Decoding all of them took
longer than everything else that a command does. See "Packed" in
docs/decisions/0007-comments-as-fingerprints-in-the-write-model.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

READABLE = " +@:"  # not quoted, beside letters, digits and _.-~


@dataclass(slots=True, eq=False)
class Packed:
    """Maps strings to strings: those in `text` are packed, those changed since are not."""

    text: str = ""  # <key>value<key>value, quoted as in URLs
    size: int = 0
    changed: dict[str, str | None] = field(default_factory=dict)  # None: removed

    def get(self, key: str) -> str | None:
        if key in self.changed:
            return self.changed[key]
        found = self._find(key)
        return None if found is None else unquote(self.text[found[1] : found[2]])

    def add(self, key: str, value: str = "") -> None:
        """Add a key that is not there yet; that is not checked."""
        self.changed[key] = value
        self.size += 1

    def change(self, key: str, value: str) -> None:
        """Change the value of a key that is there."""
        self.changed[key] = value

    def remove(self, key: str) -> None:
        """Remove a key that is there."""
        self.changed[key] = None
        self.size -= 1

    def pack(self) -> None:
        """Move what has changed into `text`, so that little is left to encode and decode."""
        old = (self._find(key) for key in self.changed) if self.text else ()
        kept, at = [], 0
        for start, _, end in sorted(found for found in old if found is not None):
            kept.append(self.text[at:start])
            at = end
        new = (
            f"<{_quoted(key)}>{_quoted(value)}"
            for key, value in self.changed.items()
            if value is not None
        )
        self.text = "".join((*kept, self.text[at:], *new))
        self.changed = {}

    def items(self) -> Iterator[tuple[str, str]]:
        for entry in self.text.split("<")[1:]:
            key, _, value = entry.partition(">")
            if (key := unquote(key)) not in self.changed:
                yield key, unquote(value)
        for key, changed in self.changed.items():
            if changed is not None:
                yield key, changed

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def __len__(self) -> int:
        return self.size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packed) and dict(self.items()) == dict(other.items())

    def _find(self, key: str) -> tuple[int, int, int] | None:
        """Find where in `text` an entry begins, where its value begins, and where it ends."""
        name = f"<{_quoted(key)}>"
        start = self.text.find(name)
        if start < 0:
            return None
        end = self.text.find("<", start + 1)
        return start, start + len(name), len(self.text) if end < 0 else end


def _quoted(text: str) -> str:
    return quote(text, safe=READABLE, errors="surrogatepass")
