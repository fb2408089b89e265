"""Stored documents for reading."""

import json
from contextlib import suppress


def readable(raw: str | bytes | memoryview | None) -> str:
    """JSON in lines, anything else as it is: some dead letters are about that."""
    if raw is None:
        return "-"
    text = raw if isinstance(raw, str) else bytes(raw).decode(errors="backslashreplace")
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    # JSON may escape half of a surrogate pair, which no encoding of a page or terminal has.
    return text.encode(errors="backslashreplace").decode()
