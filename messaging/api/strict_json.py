"""JSON that all parsers agree about: no duplicate keys, no non-finite numbers, bounded nesting."""

import json
import math
from typing import Any

import msgspec

MAX_DEPTH = 32  # of objects and lists in each other; messages are flat


def loads_bytes(raw: bytes) -> Any:
    """As `loads`, for UTF-8 bytes; a third of the cost where the JSON is written plainly.

    If writing what was read gives the same JSON, but for spaces, then no key was there twice.
    """
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        try:
            found = msgspec.json.decode(raw)
            if msgspec.json.encode(found) == msgspec.json.format(raw, indent=-1):
                return found
        except (msgspec.MsgspecError, ValueError, OverflowError):
            pass  # `loads` says what is wrong
    return loads(raw.decode())


def loads(text: str) -> Any:
    """Raises `ValueError` with a reason, and never anything else, for what is refused."""
    try:
        found = json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_float=_finite,
            parse_int=_integer,
            parse_constant=_no_constant,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _require_shallow(found)
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # Python converts 4,300 digits at most
        raise ValueError("a number is too large") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _require_shallow(found: Any) -> None:
    # Level by level and not by recursion, so that the limit is the same wherever this runs.
    level, depth = [found], 0
    while level := [value for value in level if isinstance(value, (dict, list))]:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
        ]
