"""Consumers of one process that catch up side by side read the log once, and none depends on
another for it."""

import time
from collections.abc import Iterator
from threading import Event as Flag
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest

from contracts.posts import CommentAdded
from messaging import codec, conf
from messaging.bus import shared
from messaging.bus.base import LogRecord, partition_of
from messaging.bus.shared import FetchBuffer, SharedRecord
from messaging.projections.consuming.decoding import Decoder
from messaging.testing.bus_members import PARTITIONS, Member, in_partition, numbered, publish
from messaging.testing.waiting import wait_until
from queries_app.projections import likes, posts
from tests.support.records import record_of
from tests.support.shared_bus import SharedBus, SharedBusContract, joined, reading, shared_bus


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedBus]:
    monkeypatch.setattr(shared, "LEAST", 1)
    monkeypatch.setattr(shared, "PATIENCE_S", 0.05)
    monkeypatch.setattr(shared, "SETTLED_AFTER_S", 0)
    yield from shared_bus()


class TestContract(SharedBusContract):
    pass


def test_what_one_has_fetched_others_take_from_it(bus: SharedBus) -> None:
    publish(bus, numbered(100))
    first, second, third = joined(bus, "a", "b", "c")
    for one in (first, second, third):
        while len(one.records) < 100:
            one.step(max_records=10)
    assert sorted(first.records) == sorted(second.records) == sorted(third.records)
    assert len(bus.fetched) == len(set(bus.fetched)) == 100
    assert all(a is b for a, b in zip(first.records, second.records, strict=True))


def test_those_that_have_just_joined_share_what_they_catch_up_with(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "SETTLED_AFTER_S", 60)
    publish(bus, numbered(100))
    for one in joined(bus, "a", "b"):
        while len(one.records) < 100:
            one.step(max_records=10)
    assert len(bus.fetched) <= 120, "what they begin with is fetched by each"


def test_one_that_was_ahead_and_one_that_was_behind_both_go_on_where_they_were(
    bus: SharedBus,
) -> None:
    first, second = joined(bus, "a", "b")
    for n in range(1, 6):  # each leads in turn; `step` holds that no record is missing or repeated
        publish(bus, numbered(20))
        for one in (first, second) if n % 2 else (second, first):
            while len(one.records) < 20 * n:
                one.step(max_records=7)
    assert len(bus.fetched) == len(set(bus.fetched)) == 100


@pytest.fixture
def asks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that follows asks its group at each poll."""
    monkeypatch.setattr(shared, "PLACE_EVERY_S", 0)


def test_one_that_follows_fetches_nothing_while_it_asks_its_group(
    bus: SharedBus, asks_each_time: None
) -> None:
    publish(bus, numbered(100))
    for one in joined(bus, "a", "b"):
        while len(one.records) < 100:
            one.step(max_records=10)
    assert len(bus.fetched) == 100


def one_that_follows(bus: SharedBus) -> Member:
    """Of two, with 90 of 100 records to take from the buffer."""
    publish(bus, numbered(100))
    first, second = joined(bus, "a", "b")
    while len(first.records) < 100:
        first.step(max_records=10)
    second.step(max_records=10)
    return second


def test_one_that_follows_and_is_resumed_fetches_nothing_either(
    bus: SharedBus, asks_each_time: None
) -> None:
    second = one_that_follows(bus)
    for partition in range(PARTITIONS):
        second.subscription.pause(partition)
        second.subscription.resume(partition)
    while len(second.records) < 100:
        second.step(max_records=10)
    assert len(bus.fetched) == 100


def test_one_that_follows_hears_that_partitions_are_anothers(
    bus: SharedBus, asks_each_time: None
) -> None:
    second = one_that_follows(bus)
    third = Member(bus.subscribe("b"))
    for _ in range(8):
        third.step(timeout_s=0, max_records=1)
        second.step(timeout_s=0, max_records=10)
    assert 0 < len(second.records) < 100, "it still follows"
    assert len(second.assignment) == PARTITIONS // 2


def side_by_side(members: list[Member], count: int) -> None:
    for thread in [reading(one, count) for one in members]:
        thread.join(20)
    assert {len(one.records) for one in members} == {count}


def test_one_that_is_close_behind_is_let_catch_up(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "BATCH_BYTES", 50)
    monkeypatch.setattr(shared, "PATIENCE_S", 20)
    publish(bus, numbered(300))
    side_by_side(joined(bus, "a", "b", "c"), 300)
    assert len(set(bus.fetched)) == 300
    assert len(bus.fetched) <= 320, "what they begin with may be fetched by each"


def test_one_that_stands_still_is_not_waited_for_again_and_again(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "BATCH_BYTES", 50)
    monkeypatch.setattr(shared, "PATIENCE_S", 0.5)
    publish(bus, numbered(300))
    first, other, still = joined(bus, "a", "b", "c")
    begun = time.monotonic()
    side_by_side([first, other], 300)
    assert time.monotonic() - begun < 12, "thirty times as many batches, and half a second each"
    assert bus.buffer._bytes == 0, "nor is anything kept for it"
    side_by_side([still], 300)


def test_a_paused_partition_is_not_taken_from_others_either(bus: SharedBus) -> None:
    publish(bus, [*in_partition(3, 5), *in_partition(4, 5)])
    first, second = joined(bus, "a", "b")
    second.subscription.pause(3)
    while len(first.records) < 10:
        first.step()
    for _ in range(5):
        second.step(timeout_s=0)
    assert {one.partition for one in second.records} == {4}
    second.subscription.resume(3)
    while len(second.records) < 10:
        second.step()


def test_one_that_is_set_back_reads_again_from_there(bus: SharedBus) -> None:
    publish(bus, in_partition(3, 9))
    first, second = joined(bus, "a", "b")
    for one in (first, second):
        while len(one.records) < 9:
            one.step(max_records=3)
    second.positions[3] = 2
    second.subscription.seek(3, 2)
    while len(second.records) < 16:
        second.step()
    assert [one.offset for one in second.records[9:]] == [2, 3, 4, 5, 6, 7, 8]


def test_what_was_found_in_a_record_goes_with_it() -> None:
    """It may refer to the record, and nothing looks for such garbage while a batch is at work."""
    buffer = FetchBuffer()
    ((record,),) = buffer.add({3: [LogRecord(3, 0, b"k", b"v")]}).values()
    assert isinstance(record, SharedRecord)
    record.found = record
    buffer.report("somebody", {3: 1})
    assert record.found is None


def test_offsets_that_hold_no_record_are_passed_over_by_those_behind_as_well() -> None:
    buffer = FetchBuffer()
    buffer.add({3: [LogRecord(3, 7, b"k", b"v", gap=2), LogRecord(3, 9, b"k", b"v", gap=1)]})
    assert not buffer.take({3: 7}, 10)
    assert [one.offset for one in buffer.take({3: 5}, 10)[3]] == [7, 9]


def test_a_record_is_decoded_once_and_each_projection_sees_what_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded = []
    decode = codec.decode_envelope
    monkeypatch.setattr(codec, "decode_envelope", lambda one: decoded.append(one) or decode(one))
    added = CommentAdded(post_id=uuid4(), comment_id=uuid4(), author="ann", text="Hi")
    message = record_of(added.post_id, 2, added)
    at = partition_of(message.key, conf.postlog().kafka.partitions)
    record = SharedRecord(at, 0, message.key.encode(), message.value)
    in_posts, in_likes = (Decoder(one).record_of_the_log(record) for one in (posts, likes))
    assert (in_posts.event, in_likes.event) == (added, None), "likes have no function for it"
    assert in_posts.envelope is in_likes.envelope
    assert len(decoded) == 1


def test_a_record_that_leaves_the_buffer_while_it_is_decoded_is_decoded_all_the_same() -> None:
    class Cleared(SharedRecord):
        """As if another thread cleared it at once."""

        found = property(lambda _: None, lambda *_: None)  # type: ignore[assignment]

    found = Decoder(posts).record_of_the_log(Cleared(0, 0, b"k", b"no JSON"))
    assert found.code == "unreadable"


def test_a_shared_record_that_is_not_believed_is_refused_by_each() -> None:
    record = SharedRecord(0, 0, b"k", b"no JSON")
    for projection in (posts, likes):
        found = Decoder(projection).record_of_the_log(record)
        assert (found.envelope, found.code) == (None, "unreadable")


def test_what_is_left_twice_counts_once() -> None:
    buffer = FetchBuffer()
    for _ in range(2):
        buffer.add({3: [LogRecord(3, 0, b"k", b"v")]})
    buffer.report("somebody", {3: 1})
    assert buffer._bytes == 0


def test_a_partition_that_was_handed_over_is_not_followed(bus: SharedBus) -> None:
    (first,) = joined(bus, "a")
    second = Member(bus.subscribe("a"))
    while len(first.assignment) != PARTITIONS // 2 or len(second.assignment) != PARTITIONS // 2:
        first.step(timeout_s=0)
        second.step(timeout_s=0)
    lost = min(second.assignment)
    bus.buffer.add({lost: [LogRecord(lost, 0, b"k", b"v")]})
    first.step(timeout_s=0)
    assert first.records == []


def test_what_nobody_comes_to_takes_no_room() -> None:
    """Else one far ahead would wait for two that follow each other behind it."""
    buffer = FetchBuffer()
    for at in (0, 1, 9):
        buffer.add({3: [LogRecord(3, at, b"k", b"v")]})
    buffer.report("behind", {3: 0})
    assert buffer.take({3: 0}, 10).keys() == buffer.take({3: 1}, 10).keys() == {3}
    assert not buffer.take({3: 9}, 10)
    assert buffer._bytes == 2


@pytest.mark.parametrize("limit", ["BATCH_BYTES", "MOST_CHUNKS"])
def test_what_finds_no_room_is_not_kept(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was not behind until now has waited for none."""
    monkeypatch.setattr(shared, "LEAST", 1)
    monkeypatch.setattr(shared, limit, 1)
    buffer = FetchBuffer()
    kept, not_kept = ({p: [LogRecord(p, 0, b"k", b"v")]} for p in (3, 4))
    assert (buffer.add(kept), buffer.add(not_kept)) == (kept, not_kept)
    assert buffer.take({3: 0, 4: 0}, 10) == kept


@pytest.mark.parametrize("limit", ["BATCH_BYTES", "MOST_CHUNKS"])
def test_those_that_keep_up_do_without_one_that_does_not(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, limit, 2)
    buffer = FetchBuffer()
    buffer.report("stuck", {3: 0})
    for at in range(20):
        buffer.add({3: [LogRecord(3, at, b"k", b"v")]})
        buffer.report("first", {3: at + 1})
        assert buffer.take({3: at}, 10) or at == 2, "it falls out, and the next ones are shared"
        buffer.report("other", {3: at + 1})
    assert "stuck" not in buffer.members


def test_who_waits_for_room_goes_on_when_others_leave(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "BATCH_BYTES", 50)
    monkeypatch.setattr(shared, "PATIENCE_S", 20)
    publish(bus, numbered(100))
    first, still = joined(bus, "a", "b")
    reads = reading(first, 100)
    wait_until(lambda: bus.buffer._bytes >= 50, "it waits for the one that stands still")
    still.subscription.close()
    reads.join(10)
    assert len(first.records) == 100


def test_a_partition_that_others_do_not_read_is_read_as_well(
    bus: SharedBus, asks_each_time: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "OVERLOOKED_S", 0, raising=False)
    publish(bus, [*in_partition(4, 100), *in_partition(3, 10)])
    first, second = joined(bus, "a", "b")
    first.subscription.pause(3)
    while len(first.records) < 90:
        first.step(max_records=10)
        second.step(timeout_s=0, max_records=10)
    assert 3 in {one.partition for one in second.records}
    assert len(second.records) > 20, "and it still follows"


def test_one_that_is_slow_does_not_set_the_pace_of_others(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "BATCH_BYTES", 50)
    monkeypatch.setattr(shared, "PATIENCE_S", 0.3)
    publish(bus, numbered(1_000))
    first, slow = joined(bus, "a", "b")
    fast = reading(first, 1_000)
    while fast.is_alive():  # a batch within each time for which it would be waited for
        slow.step(max_records=10)
        fast.join(0.1)
    assert len(first.records) == 1_000
    assert len(slow.records) < 200
    assert not bus.buffer.take(slow.subscription._wanted(), 1_000), "it has fallen out"
    side_by_side([slow], 1_000)


def test_one_whose_client_hangs_does_not_keep_others_from_fetching(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "PATIENCE_S", 0.3)
    publish(bus, numbered(500))
    first, other = joined(bus, "a", "b")
    for one in (first, other):
        one.step(max_records=10)
    bus.hangs["a"] = Flag()
    hanging = Thread(target=lambda: first.step(max_records=10))
    hanging.start()
    wait_until(lambda: bus.hanging == {"a"}, "it waits for its client")
    begun = time.monotonic()
    while len(other.records) < 500:
        other.step(max_records=10)
    assert time.monotonic() - begun < 12, "fifty times as many batches, and 0.3 s each"
    bus.hangs["a"].set()
    hanging.join(10)


def test_one_that_catches_up_does_not_wait_for_one_that_is_level(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "LEAST", 10)
    monkeypatch.setattr(shared, "PATIENCE_S", 20)
    level, behind = joined(bus, "a", "b")
    level.subscription.pause(3)
    bus.hangs["a"] = Flag()
    hanging = Thread(target=lambda: level.step(timeout_s=0))
    hanging.start()
    wait_until(lambda: bus.hanging == {"a"}, "it waits for its client")
    publish(bus, in_partition(3, 100))
    begun = time.monotonic()
    while len(behind.records) < 100:
        behind.step(max_records=10)
    assert time.monotonic() - begun < 10
    bus.hangs["a"].set()
    hanging.join(10)


def test_what_one_fetches_the_other_waits_for_and_no_longer(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "PATIENCE_S", 20)
    publish(bus, numbered(100))
    first, other = joined(bus, "a", "b")
    for one in (first, other):
        one.step(max_records=10)
    bus.hangs["a"] = Flag()
    fetching, waiting = (Thread(target=lambda m=m: m.step(max_records=10)) for m in (first, other))
    fetching.start()
    wait_until(lambda: bus.hanging == {"a"}, "it waits for its client")
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    bus.hangs["a"].set()
    for thread in (fetching, waiting):
        thread.join(10)
    assert other.records == first.records
    assert len(bus.fetched) == len(set(bus.fetched)) == 20


def test_patience_comes_back_with_work_and_has_an_end(
    bus: SharedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "PATIENCE_S", 20)
    (one,) = joined(bus, "a")
    found: Any = one.subscription
    found._patience_s, found._returned = 3, time.monotonic() - 5  # it has worked for 5 s
    one.step(timeout_s=0)
    assert 8 <= found._patience_s < 20
    found._returned = time.monotonic() - 60
    one.step(timeout_s=0)
    assert found._patience_s == 20


def test_offsets_that_were_passed_are_where_it_follows_from(bus: SharedBus) -> None:
    (one,) = joined(bus, "a")
    bus.says = {3: 7}
    assert one.subscription.poll(timeout_s=0, max_records=10).passed == {3: 7}
    bus.says = {}
    bus.buffer.add({3: [LogRecord(3, 7, b"k", b"v")]})
    assert one.subscription.poll(timeout_s=0, max_records=10).records.keys() == {3}


def test_what_a_client_says_of_a_partition_that_it_does_not_read_is_left_out(
    bus: SharedBus, asks_each_time: None
) -> None:
    """A client may tell late how far it had come by itself. A checkpoint would go back."""
    publish(bus, in_partition(3, 30))
    first, second = joined(bus, "a", "b")
    for one in (first, second):
        one.step(max_records=10)
    while len(first.records) < 30:
        first.step(max_records=10)
    bus.says, bus.gives = {3: 10}, [LogRecord(3, 10, b"k", b"v")]
    polled = second.subscription.poll(timeout_s=0, max_records=10)
    assert [one.offset for one in polled.records[3]] == [*range(10, 20)]
    assert polled.passed == {}
