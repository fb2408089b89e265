"""Read a history in chunks, so that memory does not grow with it."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

from messaging.importing.lines import ImportedEvent, Wrong, parse

LINES_AT_ONCE = 2_000  # two values each, below SQLite's limit of 32,766 parameters
BYTES_AT_ONCE = 8 * 1024 * 1024

Numbered = tuple[int, bytes]  # a line, from 1


class Chunk(NamedTuple):
    last: int  # the number of its last line
    events: list[ImportedEvent]
    wrong: list[tuple[int, Wrong]]


def parsed_chunks(lines: Iterable[bytes], latest: datetime) -> Iterator[Chunk]:
    """Parse all lines that are not blank; see `lines.parse`. While the database works on one chunk,
    a thread parses the next."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        parsing: Future[Chunk] | None = None
        for chunk in _chunks(lines):
            before, parsing = parsing, thread.submit(_parsed, chunk, latest)
            if before is not None:
                yield before.result()
        if parsing is not None:
            yield parsing.result()


def _parsed(lines: list[Numbered], latest: datetime) -> Chunk:
    chunk = Chunk(lines[-1][0], [], [])
    for number, raw in lines:
        try:
            chunk.events.append(parse(number, raw, latest))
        except Wrong as wrong:
            chunk.wrong.append((number, wrong))
    return chunk


def _chunks(lines: Iterable[bytes]) -> Iterator[list[Numbered]]:
    chunk: list[Numbered] = []
    size = 0
    for number, raw in enumerate(lines, 1):
        if raw.strip():
            chunk.append((number, raw))
            size += len(raw)
        if len(chunk) >= LINES_AT_ONCE or size >= BYTES_AT_ONCE:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
