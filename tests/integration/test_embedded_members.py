"""The embedded log: who is alive by a clock that may leap back, and what a reader gets."""

from datetime import timedelta
from uuid import uuid4

from messaging.bus import current_bus
from messaging.bus.base import Message, partition_of
from messaging.bus.models import LogMember
from messaging.message import utc_now
from tests.support.modes import Mode


def test_a_member_from_the_future_holds_no_partition_and_is_swept_out(database: Mode) -> None:
    bus = current_bus()
    bus.ensure_topic()
    ahead = (utc_now() + timedelta(hours=1)).timestamp()
    killed = [
        LogMember.objects.create(group=f"{bus.topic}/g", member=uuid4(), seen_at=ahead)
        for _ in range(2)
    ]
    first, second = bus.subscribe("g"), bus.subscribe("g")
    try:
        polled = first.poll(timeout_s=1, max_records=1)
        assert polled.assignment == frozenset(range(12))
        assert not LogMember.objects.filter(member__in=[one.member for one in killed]).exists()
        assert second.poll(timeout_s=1, max_records=1).assignment < frozenset(range(12))
        assert LogMember.objects.count() == 2
    finally:
        first.close()
        second.close()


def test_members_that_were_killed_are_swept_out_by_the_next_one_of_their_group(
    database: Mode,
) -> None:
    bus = current_bus()
    bus.ensure_topic()
    now = utc_now().timestamp()

    def killed(group: str, seconds_ago: float) -> LogMember:
        group = f"{bus.topic}/{group}"
        return LogMember.objects.create(group=group, member=uuid4(), seen_at=now - seconds_ago)

    left = [killed("g", 30), killed("other", 3_600), killed("other", 0), killed("other", -3_600)]
    swept = killed("g", 3_600)
    member = bus.subscribe("g")
    try:
        assert member.poll(timeout_s=1, max_records=1).assignment == frozenset(range(12))
        ids = set(LogMember.objects.values_list("member", flat=True))
        assert ids >= {one.member for one in left}, "one of 30 s ago may only be frozen"
        assert swept.member not in ids
        assert len(ids) == len(left) + 1
    finally:
        member.close()


def test_a_member_that_the_leap_left_in_the_future_is_ignored_until_it_beats(
    database: Mode,
) -> None:
    bus = current_bus()
    bus.ensure_topic()
    member = bus.subscribe("g")
    try:
        member.poll(timeout_s=1, max_records=1)
        ahead = (utc_now() + timedelta(hours=1)).timestamp()
        LogMember.objects.create(group=f"{bus.topic}/g", member=uuid4(), seen_at=ahead)
        assert len(member._beat()) == 1  # type: ignore[attr-defined]
    finally:
        member.close()


def test_a_partition_with_much_to_read_does_not_keep_the_others_waiting(database: Mode) -> None:
    bus = current_bus()
    bus.ensure_topic()
    keys = {partition_of(key, 12): key for key in map(str, range(100))}
    publisher = bus.publisher()
    publisher.publish([Message(keys[p], b"{}") for p in (2, 5) for _ in range(20)])
    reader = bus.reader({2: 0, 5: 0})
    polls = [reader.poll(timeout_s=1, max_records=5).records for _ in range(4)]
    assert sorted(partition for records in polls for partition in records) == [2, 2, 5, 5]
