"""Records as they stand in the topic, whichever client carries them."""

from collections.abc import Sequence

from messaging.bus.base import Message
from messaging.bus.signing import HEADER
from messaging.exceptions import HistoryMismatch

HEADERS: list[tuple[str, str | bytes | None]] = [("content-type", b"application/cloudevents+json")]
# What the broker takes with key, headers and overhead. New events are smaller (bus/base.py);
# those that an earlier release stored may be up to this.
MAX_VALUE_BYTES = 1024 * 1024 - 1024


def require_sizes(messages: Sequence[Message]) -> None:
    """Raise `HistoryMismatch` for a message that no broker takes."""
    for key, value, _ in messages:
        if len(value) > MAX_VALUE_BYTES:
            raise HistoryMismatch(
                f"An event of stream {key} has {len(value):,} bytes; a record holds at most "
                f"{MAX_VALUE_BYTES:,}. It can never be published, nor what follows it."
            )


def headers(signature: bytes | None) -> list[tuple[str, str | bytes | None]]:
    return HEADERS if signature is None else [*HEADERS, (HEADER, signature)]


def signature(found: Sequence[tuple[str, bytes | None]] | None) -> bytes | None:
    if not found:
        return None
    if found[-1][0] == HEADER:  # as the relay writes it
        return found[-1][1]
    for name, value in found:
        if name == HEADER:
            return value
    return None


def asked_for_another(partition: int, expected: int, offset: int) -> HistoryMismatch:
    """The error where the broker gave a record from before the offset that was asked for."""
    return HistoryMismatch(f"Partition {partition}: asked for offset {expected}, got {offset}.")
