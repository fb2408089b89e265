"""The corpus of bad input, as records of the log: none of them keeps a partition."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from messaging.bus import current_bus
from messaging.bus.base import Place, partition_of
from messaging.dialect import dialect_of
from messaging.projections.models import Checkpoint
from messaging.projections.registry import PROJECTIONS
from tests.support.consuming import consume_all
from tests.support.corpus import cases
from tests.support.corpus_records import (
    PARTITIONS,
    Beside,
    Sent,
    became,
    expected_of,
    in_another_partition,
    publish,
    sent,
)
from tests.support.corpus_world import Findings
from tests.support.modes import Mode, fresh_mode

pytestmark = pytest.mark.usefixtures("quiet")
HALTED = "halted"


@pytest.fixture(params=["sqlite-embedded", "postgresql-embedded", "postgresql-kafka"])
def log(request: pytest.FixtureRequest, django_db_blocker: Any, tmp_path: Path) -> Iterator[Mode]:
    vendor, bus = request.param.split("-")
    with django_db_blocker.unblock(), fresh_mode(vendor, bus, tmp_path) as mode:
        read = connections["read"]
        dialect_of(read).allow_idle_transactions(read)  # one large batch, on machines that are busy
        yield mode


def test_bad_records_become_what_the_corpus_has_and_all_others_take_effect(log: Mode) -> None:
    all_cases = [case for case in cases("record") if case.expected != HALTED]
    found, beside = Findings(), Beside()
    places = published([sent(case) for case in all_cases], beside)
    for projection in PROJECTIONS.values():
        assert consume_all(projection) == {}
        root = projection.root._default_manager.filter(stream_id__in=beside.versions)
        assert dict(root.values_list("stream_id", "version")) == beside.versions
    for one, place in places:
        found.compare(one.case, expected_of(one.case, log.vendor), became(one, place))
    found.require_none(of=len(all_cases))
    ends = current_bus().end_offsets()
    for row in Checkpoint.objects.all():
        assert (row.offset, row.halted) == (ends[row.partition], "")


def published(records: list[Sent], beside: Beside) -> list[tuple[Sent, Place]]:
    """All at once, each behind the events that it needs and before one of a sound stream."""
    messages, at = [], []
    for one in records:
        at.append(len(messages) + len(one.before))
        behind = beside.next(partition_of(one.message.key, PARTITIONS))
        messages += [*one.before, one.message, behind]
    places = publish(messages)
    return [(one, places[index]) for one, index in zip(records, at, strict=True)]


def test_two_histories_halt_their_partition_and_no_other(database: Mode) -> None:
    """Here nothing may be passed over: an operator has to say which is true."""
    all_cases = [case for case in cases("record") if case.expected == HALTED]
    found, beside = Findings(), Beside()
    publish([beside.next(partition) for partition in range(PARTITIONS)])
    halted: set[int] = set()
    for case in all_cases:
        one = in_another_partition(case, halted)
        partition = partition_of(one.message.key, PARTITIONS)
        publish([*one.before, one.message])
        reasons = consume_all()
        halted.add(partition)
        found.compare(case, halted, set(reasons))
        assert "Fork" in reasons.get(partition, "")
    found.require_none(of=len(all_cases))
    sound = [partition for partition in range(PARTITIONS) if partition not in halted]
    publish([beside.next(partition) for partition in sound])
    consume_all()
    projection = PROJECTIONS["posts"]
    at = dict(projection.root._default_manager.values_list("stream_id", "version"))
    assert all(at[s] == v for s, v in beside.versions.items())
