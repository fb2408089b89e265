"""Consumers of one process that keep up with the log let one of them fetch, and none depends on
that one."""

import time
from collections.abc import Iterator
from threading import Event as Flag
from threading import Thread

import pytest

from messaging.bus import shared
from messaging.testing.bus_members import PARTITIONS, Member, in_partition, numbered, publish
from messaging.testing.waiting import wait_until
from tests.support.shared_bus import SharedBus, SharedBusContract, joined, shared_bus


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedBus]:
    monkeypatch.setattr(shared, "SETTLED_AFTER_S", 0)
    yield from shared_bus()


class TestContract(SharedBusContract):
    pass


def fetching(bus: SharedBus, one: Member) -> Thread:
    """A thread in which a member fetches, and hangs in its client."""
    bus.hangs["a"] = Flag()
    thread = Thread(target=lambda: one.step(timeout_s=0))
    thread.start()
    wait_until(lambda: bus.hanging == {"a"}, "it waits for its client")
    return thread


def go_on(bus: SharedBus, *threads: Thread) -> None:
    bus.hangs["a"].set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_a_record_that_one_has_fetched_others_take_from_it(bus: SharedBus) -> None:
    members = joined(bus, "a", "b", "c")
    for n in range(1, 21):
        publish(bus, numbered(1))
        for one in members:
            while len(one.records) < n:
                one.step()
    assert len(bus.fetched) == len(set(bus.fetched)) == 20
    assert all(a is b for a, b in zip(members[0].records, members[1].records, strict=True))


def test_while_one_fetches_others_wait_and_take_what_comes(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "TURN_S", 60)
    first, other = joined(bus, "a", "b")
    hanging = fetching(bus, first)
    waiting = Thread(target=lambda: other.step(timeout_s=20))
    waiting.start()
    publish(bus, numbered(10))
    go_on(bus, hanging, waiting)
    assert other.records == first.records
    assert len(bus.fetched) == len(set(bus.fetched)) == 10


def test_who_waits_goes_on_after_its_time_and_has_asked_its_group(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "TURN_S", 60)
    monkeypatch.setattr(shared, "PLACE_EVERY_S", 0)
    first, other = joined(bus, "a", "b")
    hanging = fetching(bus, first)
    third = Member(bus.subscribe("b"))
    begun = time.monotonic()
    while len(other.assignment) != PARTITIONS // 2:
        other.step(timeout_s=0.01)
        third.step(timeout_s=0)
    assert time.monotonic() - begun < 20
    assert other.records == []
    go_on(bus, hanging)


def test_one_that_waits_is_not_kept_from_it_by_its_group(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client is asked, and asked for no record: another fetches them all."""
    monkeypatch.setattr(shared, "TURN_S", 60)
    monkeypatch.setattr(shared, "PLACE_EVERY_S", 0)
    first, other = joined(bus, "a", "b")
    hanging = fetching(bus, first)
    publish(bus, numbered(10))
    bus.asked.clear()
    assert other.step(timeout_s=0.2) == []
    assert bus.asked == [0.0]
    go_on(bus, hanging)


def test_one_that_joins_polls_its_own_client(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "TURN_S", 60)
    (first,) = joined(bus, "a")
    hanging = fetching(bus, first)
    begun = time.monotonic()
    other = Member(bus.subscribe("b"))
    other.step(timeout_s=20)
    assert len(other.assignment) == PARTITIONS
    bus.joining = {"b"}
    publish(bus, numbered(10))
    assert len(other.step(timeout_s=20)) == 10
    assert time.monotonic() - begun < 10
    go_on(bus, hanging)


def test_one_whose_client_hangs_is_not_waited_for_any_longer(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "TURN_S", 0.3)
    first, other = joined(bus, "a", "b")
    begun = time.monotonic()
    hanging = fetching(bus, first)
    publish(bus, numbered(10))
    assert len(other.step(timeout_s=20)) == 10
    assert 0.3 <= time.monotonic() - begun < 10
    go_on(bus, hanging)


def test_one_whose_client_brings_nothing_is_not_relied_on_for_long(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its turns ends in time, so it is not that which tells."""
    monkeypatch.setattr(shared, "OVERLOOKED_S", 0.3)
    monkeypatch.setattr(shared, "PLACE_EVERY_S", 0.1)
    first, other = joined(bus, "a", "b")
    bus.deaf, stop = {"a"}, Flag()

    def work() -> None:
        while not stop.is_set():
            first.step(timeout_s=0.1)

    deaf = Thread(target=work)
    deaf.start()
    try:
        publish(bus, numbered(10))
        wait_until(lambda: other.has(10), "it looks by itself", 10)
    finally:
        stop.set()
        deaf.join(10)


def test_what_it_has_looked_at_it_looks_at_again_only_after_a_while(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers need not wait for its client meanwhile."""
    monkeypatch.setattr(shared, "TURN_S", 60)
    monkeypatch.setattr(shared, "OVERLOOKED_S", 60)
    monkeypatch.setattr(shared, "PLACE_EVERY_S", 0)
    first, other = joined(bus, "a", "b")
    hanging = fetching(bus, first)
    bus.asked.clear()
    other.subscription._followed = dict.fromkeys(range(PARTITIONS), float("-inf"))  # type: ignore[attr-defined]
    for _ in range(3):
        other.step(timeout_s=0)
    assert bus.asked == [shared.PLACE_S, 0.0, 0.0]
    go_on(bus, hanging)


def test_one_that_reads_less_is_not_relied_on(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "TURN_S", 60)
    first, other = joined(bus, "a", "b")
    first.subscription.pause(3)
    hanging = fetching(bus, first)
    publish(bus, in_partition(3, 10))
    begun = time.monotonic()
    assert len(other.step(timeout_s=20)) == 10
    assert time.monotonic() - begun < 10
    go_on(bus, hanging)


def test_one_that_has_other_partitions_than_before_relies_on_nobody(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They change in several steps, for which its client is to be asked."""
    monkeypatch.setattr(shared, "TURN_S", 60)
    (first,) = joined(bus, "a")
    hanging = fetching(bus, first)
    monkeypatch.setattr(shared, "SETTLED_AFTER_S", 60)
    (other,) = joined(bus, "b")
    publish(bus, numbered(10))
    begun = time.monotonic()
    assert len(other.step(timeout_s=20)) == 10
    assert time.monotonic() - begun < 10
    go_on(bus, hanging)


def fetches(bus: SharedBus, other: Member) -> bool:
    """Whether a record that is published now is fetched by this one, soon."""
    publish(bus, numbered(1))
    return bool(other.step(timeout_s=0.2))


def test_who_has_fetched_goes_on_to(bus: SharedBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "RETURN_S", 60)
    first, other = joined(bus, "a", "b")
    first.step(timeout_s=0)
    assert not fetches(bus, other)
    assert fetches(bus, first)
    assert len(other.step()) == 2


@pytest.mark.parametrize("cause", ["it is long ago", "it has left", "it reads less"])
def test_who_has_fetched_is_not_relied_on_for_long(
    cause: str, bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "RETURN_S", 0.05 if cause == "it is long ago" else 60)
    first, other = joined(bus, "a", "b")
    if cause == "it reads less":
        first.subscription.pause(3)
    first.step(timeout_s=0)
    if cause == "it has left":
        first.subscription.close()
    assert fetches(bus, other)


def test_one_that_is_alone_keeps_nothing(bus: SharedBus) -> None:
    (one,) = joined(bus, "a")
    publish(bus, numbered(10))
    assert len(one.step()) == 10
    assert not bus.buffer._chunks


def test_offsets_that_one_has_passed_others_pass_by_themselves(bus: SharedBus) -> None:
    first, other = joined(bus, "a", "b")
    bus.says = {3: 7}
    for one in (first, other):
        assert one.subscription.poll(timeout_s=1, max_records=10).passed == {3: 7}
