"""Following others' buffer keeps a place in a group of Kafka's, and loses no record."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest

from messaging.bus import current_bus, shared
from messaging.bus.base import LogRecord
from messaging.bus.shared import BufferedSubscription, FetchBuffer
from messaging.testing.bus_members import (
    PARTITIONS,
    Member,
    everything,
    in_partition,
    numbered,
    publish,
)
from messaging.testing.waiting import wait_until
from tests.support.modes import Mode, fresh_mode


@pytest.fixture(params=["kafka-python", "confluent"])
def mode(request: pytest.FixtureRequest, django_db_blocker: Any, tmp_path: Path) -> Iterator[Mode]:
    with django_db_blocker.unblock(), fresh_mode("sqlite", "kafka", tmp_path, request.param) as one:
        current_bus().ensure_topic()
        yield one


def work(member: Member, stop: Flag) -> None:
    """As each consumer does, in a thread of its own."""
    while not stop.is_set():
        member.step(timeout_s=0.5)
    member.subscription.close()


def test_one_that_follows_hears_of_a_new_member_and_fetches_on_from_where_it_is(
    mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "LEAST", 1)
    monkeypatch.setattr(shared, "PLACE_EVERY_S", 0.3)
    monkeypatch.setattr(shared, "SETTLED_AFTER_S", 0)
    bus = current_bus()
    publish(bus, numbered(3_000, keys=100))
    log: dict[int, list[LogRecord]] = {}
    for record in everything(bus):
        log.setdefault(record.partition, []).append(record)
    buffer = FetchBuffer()
    one = Member(BufferedSubscription(bus.subscribe("a"), buffer))
    wait_until(lambda: one.owns(PARTITIONS), "it has all partitions")
    other, leaves = Member(bus.subscribe("a")), Flag()
    thread = Thread(target=work, args=[other, leaves])
    thread.start()
    followed = 0

    def follows_and_hears() -> bool:
        """One record at a time, so that there is always another to follow to."""
        nonlocal followed
        for partition, part in log.items():
            at = one.positions.get(partition, 0)
            if partition in one.assignment and at < len(part):
                buffer.add({partition: part[at : at + 1]})
                break
        got = one.step(max_records=1)
        followed += len(got) if one.subscription._held else 0  # type: ignore[attr-defined]
        return len(one.assignment) == len(other.assignment) == PARTITIONS // 2

    try:
        wait_until(follows_and_hears, "it has handed half of them over", 60)
        assert followed
    finally:
        leaves.set()
        thread.join(30)
    wait_until(lambda: one.has(3_000), "it has read the rest, in order and without a gap", 60)
    one.subscription.close()


def test_one_that_follows_reads_as_well_what_the_others_do_not(
    mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "LEAST", 1)
    monkeypatch.setattr(shared, "PLACE_EVERY_S", 0.3)
    monkeypatch.setattr(shared, "OVERLOOKED_S", 0.5)
    monkeypatch.setattr(shared, "SETTLED_AFTER_S", 0)
    bus = current_bus()
    publish(bus, in_partition(4, 50_000))
    buffer = FetchBuffer()
    ahead, behind = (Member(BufferedSubscription(bus.subscribe(g), buffer)) for g in "ab")
    for one in (ahead, behind):
        wait_until(lambda one=one: one.owns(PARTITIONS), "it has all partitions")  # type: ignore[misc]
    ahead.subscription.pause(3)

    def step() -> None:
        """A few records at a time, so that there are always others to follow to."""
        for one in (ahead, behind):
            one.step(timeout_s=0.5, max_records=20)

    # Whoever fetches first stays ahead, and the other one follows.
    first = "the one ahead has fetched"
    wait_until(lambda: ahead.step(timeout_s=0.5, max_records=20), first, 60)
    wait_until(lambda: step() or behind.subscription._held, "it follows", 60)  # type: ignore[func-returns-value,attr-defined]
    publish(bus, in_partition(3, 10))
    read = "it has read the partition that the one ahead does not"
    wait_until(lambda: step() or behind.positions.get(3) == 10, read, 60)  # type: ignore[func-returns-value]
    assert behind.positions[4] < 50_000, "there was always something to follow to"
    for one in (ahead, behind):
        one.subscription.close()


def test_one_that_is_level_hears_of_a_new_member(mode: Mode) -> None:
    bus, buffer = current_bus(), FetchBuffer()
    first, one = (Member(BufferedSubscription(bus.subscribe(g), buffer)) for g in "ba")
    members = [first, one]
    stop = Flag()

    def owns(member: Member, count: int) -> bool:
        return len(member.assignment) == count

    threads = [Thread(target=work, args=[member, stop]) for member in members]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: all(owns(m, PARTITIONS) for m in members), "they have all partitions")
        follows = "one of them follows the other"
        wait_until(lambda: any(m.subscription._held for m in members), follows, 30)  # type: ignore[attr-defined]
        members.append(Member(bus.subscribe("a"), one.positions))
        threads.append(Thread(target=work, args=[members[2], stop]))
        threads[-1].start()
        wait_until(lambda: all(owns(m, PARTITIONS // 2) for m in members[1:]), "they share them")
        publish(bus, numbered(100, keys=30))
        wait_until(lambda: len(first.records) == 100, "the first has all records")
        wait_until(lambda: sum(len(m.records) for m in members[1:]) == 100, "the others have them")
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
