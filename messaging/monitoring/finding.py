"""From an id or a time to a row, by the indexes that there are: as quick in a store of any size.

Neither ids nor times of events have an index of their own, which would make every append more
expensive for questions that are seldom asked.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db.models import Model, Q, QuerySet

from messaging.eventstore.models import Event, Receipt
from messaging.eventstore.receipts import StoredOutcome

NEWEST = 100_000  # rows, for what nothing leads to
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MS = int((datetime(9999, 1, 1, tzinfo=UTC) - EPOCH).total_seconds()) * 1_000
CLOCKS_DIFFER = timedelta(seconds=10)
WITH_A_TIME = (7, 8)  # UUID versions: RFC 9562's, and that of generated command ids


def first_since(rows: QuerySet[Any], field: str, moment: datetime) -> int:
    """The key of the first row whose time, in `field`, is not before `moment`; beyond the last key
    if there is none. Keys are growing numbers, and times grow with them, so it is found by
    halving. Hosts' clocks differ: ask for a moment some seconds before the one that is meant."""
    low, end = _ends(rows)
    while low < end:
        middle = (low + end) // 2
        at = rows.filter(pk__gte=middle).order_by("pk").values_list("pk", field).first()
        if at is None or at[1] >= moment:
            end = middle
        else:
            low = at[0] + 1
    return low


def _ends(rows: QuerySet[Any]) -> tuple[int, int]:
    keys = rows.values_list("pk", flat=True)
    first, last = keys.order_by("pk").first(), keys.order_by("-pk").first()
    return (0, 0) if first is None or last is None else (first, last + 1)


def newest(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The newest rows of a table whose primary key is a growing number."""
    model: type[Model] = rows.model
    last = model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0
    return rows.filter(pk__gt=last - NEWEST)


def find_event(some_id: UUID, *, everywhere: bool = False) -> Event | None:
    """The event of this id, or the first one of the command or of the correlation of this id.

    Looks where the id's time and the receipts lead to, then among the newest; `everywhere`: then
    through the whole table.
    """
    wanted = Q(event_id=some_id) | Q(command_id=some_id) | Q(correlation_id=some_id)
    for rows in _where_it_may_be(some_id, everywhere):
        if (found := rows.filter(wanted).order_by("position").first()) is not None:
            return found
    return None


def _where_it_may_be(some_id: UUID, everywhere: bool) -> Iterator[QuerySet[Event]]:
    events = Event.objects.all()
    if (at := time_of(some_id)) is not None:
        first = first_since(events, "recorded_at", at - CLOCKS_DIFFER)
        end = first_since(events, "recorded_at", at + CLOCKS_DIFFER)
        yield events.filter(position__gte=first, position__lt=end)
    for receipt in receipts_of(some_id):
        for stream_id, version in _where_it_led(receipt):
            yield events.filter(stream_id=stream_id, version__lte=version)
    yield newest(events)
    if everywhere:
        yield events


def receipts_of(command_id: UUID) -> list[Receipt]:
    """One for each actor who sent a command with this id. All there is of a refused one."""
    return list(Receipt.objects.filter(command_id=command_id).order_by("id"))


def _where_it_led(receipt: Receipt) -> list[tuple[UUID, int]]:
    result = msgspec.json.decode(receipt.outcome, type=StoredOutcome).result
    return [] if result is None else [(one.stream_id, one.version) for one in result.positions]


def time_of(some_id: UUID) -> datetime | None:
    """The time, to the millisecond, that the id was made of; None: it tells none."""
    if some_id.version not in WITH_A_TIME:
        return None
    milliseconds = some_id.int >> 80
    if milliseconds > LAST_MS:  # the year 10889 has an id, but no datetime
        return None
    return EPOCH + timedelta(milliseconds=milliseconds)
