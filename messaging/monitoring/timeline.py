"""When an event passed each step of its way, as far as that is kept: nothing is written for it
beside what is written anyway. docs/decisions/0048-the-times-of-an-event.md
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple
from uuid import RFC_4122

from messaging import conf
from messaging.bus import current_bus
from messaging.bus.base import partition_of
from messaging.eventstore.models import Event
from messaging.eventstore.unit_of_work import SERVER_GENERATED, began_with
from messaging.exceptions import BusError, HistoryMismatch
from messaging.message import utc_now
from messaging.monitoring.finding import CLOCKS_DIFFER, time_of

NOT_KEPT = "not kept"
MAX_READ, MAX_READ_S = 10_000, 3.0  # records of the log for one answer, and seconds
ROUNDED = timedelta(milliseconds=-2)  # some of these times are cut to a millisecond
WIDTH, MARGIN = 600, 8  # of the drawn line


class Moment(NamedTuple):
    """`at` is None where the time is not known, or not come yet: `note` says which."""

    step: str
    at: datetime | None
    note: str = ""
    at_most: bool = False  # it was then, or earlier


class Mark(NamedTuple):
    """A moment as it is shown."""

    step: str
    at: datetime | None
    after: str  # since the first moment, such as "+41 ms"
    note: str
    x: int  # on a line of WIDTH

    @property
    def milliseconds(self) -> str:
        """Of the time, which Django's date formats have not."""
        return "" if self.at is None else f"{self.at.microsecond // 1_000:03}"


def received(event: Event) -> Iterator[Moment]:
    """From the ids that are generated when a command begins: its own, or, where that is derived
    from a key, the conversation's. What sent it may be a client, a form or a process."""
    at = time_of(event.command_id) if event.command_id.variant == RFC_4122 else None
    if event.command_id.version == SERVER_GENERATED:
        yield Moment("received", at, "" if at else NOT_KEPT)
        return
    if at is not None:
        yield Moment("sent", at, "by the clock of the sender, who chose the command's id")
    if began_with(event.correlation_id, event.command_id):
        at = time_of(event.correlation_id)
        yield Moment("received", at, "" if at else NOT_KEPT)
    else:
        yield Moment("received", None, NOT_KEPT)


def stored(event: Event) -> Moment:
    return Moment("stored", event.recorded_at)


def published(event: Event, waiting: bool) -> Moment:
    """From the log, which keeps a time for each record."""
    if waiting:
        waits = duration(utc_now() - event.recorded_at).lstrip("+")
        return Moment("published", None, f"not yet: waits in the outbox for {waits}")
    try:
        at = _written_at(event)
    except (BusError, HistoryMismatch) as error:
        return Moment("published", None, f"when is unknown: {type(error).__name__}: {error}")
    note = "" if at else f"when is not in the {MAX_READ:,} records of the log from there on"
    return Moment("published", at, note)


def _written_at(event: Event) -> datetime | None:
    partition = partition_of(str(event.stream_id), conf.postlog().kafka.partitions)
    key, event_id = str(event.stream_id).encode(), str(event.event_id).encode()
    since, deadline = event.recorded_at - CLOCKS_DIFFER, time.monotonic() + MAX_READ_S
    with closing(current_bus().written_since(partition, since)) as found:  # type: ignore[type-var]  # a generator
        for record, at in islice(found, MAX_READ):
            if record.key == key and event_id in (record.value or b""):
                return at
            if time.monotonic() > deadline:
                break
    return None


def marks(moments: Iterable[Moment]) -> list[Mark]:
    """With the time since the first that is known."""
    every = list(moments)
    times = [one.at for one in every if one.at is not None]
    first = min(times[:1], default=None)
    return [_mark(one, first, max(times, default=None)) for one in every]


def _mark(moment: Moment, first: datetime | None, last: datetime | None) -> Mark:
    at, note = moment.at, moment.note
    if at is None or first is None or last is None:
        return Mark(moment.step, at, "", note, 0)
    passed = at - first
    if passed < ROUNDED:
        note = "; ".join(filter(None, [note, "the clocks of two hosts differ"]))
    share = max(timedelta(), passed) / ((last - first) or timedelta(seconds=1))
    x = MARGIN + round(share * (WIDTH - 2 * MARGIN))
    after = "" if at == first else f"{'at most ' if moment.at_most else ''}{duration(passed)}"
    return Mark(moment.step, at, after, note, x)


def duration(passed: timedelta) -> str:
    """+41 ms, +1.2 s, +3 min 4 s, +2 h 5 min, +3 d 4 h"""
    if ROUNDED <= passed < timedelta():
        passed = timedelta()
    sign, seconds = ("-" if passed < timedelta() else "+"), abs(passed.total_seconds())
    if seconds < 0.9995:
        return f"{sign}{seconds * 1_000:.0f} ms"
    if seconds < 59.95:
        return f"{sign}{seconds:.1f} s"
    whole = round(seconds)
    for unit, below, name, rest in ((60, 3_600, "min", "s"), (3_600, 86_400, "h", "min")):
        if whole < below:
            part = whole % unit // (unit // 60)
            return f"{sign}{whole // unit} {name} {part} {rest}"
    return f"{sign}{whole // 86_400} d {whole % 86_400 // 3_600} h"


def in_text(found: Sequence[Mark]) -> list[str]:
    """Lines for a terminal."""
    return [_line(one) for one in found]


def _line(mark: Mark) -> str:
    at = "" if mark.at is None else f"{mark.at:%Y-%m-%d %H:%M:%S}.{mark.milliseconds}"
    note = f"({mark.note})" if mark.note else ""
    return f"{mark.step:<20} {at:<23} {mark.after:<11} {note}".rstrip()
