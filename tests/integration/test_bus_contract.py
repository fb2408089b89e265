"""What every bus keeps to: one suite, run on Kafka and on the embedded log of both databases."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier, Thread
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections

from messaging.bus import current_bus
from messaging.bus.base import Bus, LogRecord, Message, Subscription, partition_of
from messaging.bus.models import EmbeddedRecord, Log, LogPartition
from messaging.exceptions import BusError, HistoryMismatch, OffsetOutOfRange
from tests.support.freezing import freeze_between_writes
from tests.support.losing import lose_records_before
from tests.support.modes import Mode, fresh_mode
from tests.support.processes import Worker
from tests.support.settings import postlog
from tests.support.waiting import wait_until

PARTITIONS = 12
GROUP = "contract"


@pytest.fixture(params=["sqlite-embedded", "postgresql-embedded", "sqlite-kafka"])
def mode(request: pytest.FixtureRequest, django_db_blocker: Any, tmp_path: Path) -> Iterator[Mode]:
    vendor, bus = request.param.split("-")
    with django_db_blocker.unblock(), fresh_mode(vendor, bus, tmp_path) as found:
        current_bus().ensure_topic()
        yield found


@pytest.fixture
def bus(mode: Mode) -> Bus:
    return current_bus()


@dataclass
class Member:
    """A subscriber that begins each partition where the group's positions say, as a consumer
    does with its checkpoints."""

    subscription: Subscription
    positions: dict[int, int] = field(default_factory=dict)
    assignment: frozenset[int] = frozenset()
    records: list[LogRecord] = field(default_factory=list)
    changes: int = 0

    def step(self, *, timeout_s: float = 0.1, max_records: int = 1_000) -> list[LogRecord]:
        polled = self.subscription.poll(timeout_s=timeout_s, max_records=max_records)
        self.assignment = polled.assignment
        if polled.changed:
            assert not polled.records
            self.changes += 1
            for partition in polled.assignment:
                self.subscription.seek(partition, self.positions.get(partition, 0))
        got = [record for part in polled.records.values() for record in part]
        assert len(got) <= max_records
        for record in got:
            assert record.partition in polled.assignment
            assert record.offset == self.positions.get(record.partition, 0), "dense, from the seek"
            self.positions[record.partition] = record.offset + 1
        self.records += got
        return got

    def owns(self, count: int) -> bool:
        self.step()
        return len(self.assignment) == count

    def has(self, count: int) -> bool:
        self.step()
        return len(self.records) >= count


@pytest.fixture
def member(bus: Bus) -> Iterator[Member]:
    """The only member of its group, which has every partition."""
    found = Member(bus.subscribe(GROUP))
    wait_until(lambda: found.owns(PARTITIONS), "all partitions are assigned")
    yield found
    found.subscription.close()


def publish(bus: Bus, messages: list[Message]) -> None:
    publisher = bus.publisher()
    publisher.publish(messages)
    publisher.close()


def numbered(count: int, keys: int = 20) -> list[Message]:
    names = [str(uuid4()) for _ in range(keys)]
    return [Message(names[n % keys], f'{{"n": {n}}}'.encode()) for n in range(count)]


def key_in(partition: int) -> str:
    """Some key that goes to this partition."""
    return next(
        k for k in iter(lambda: str(uuid4()), "") if partition_of(k, PARTITIONS) == partition
    )


def in_partition(partition: int, count: int) -> list[Message]:
    key = key_in(partition)
    return [Message(key, str(n).encode()) for n in range(count)]


def everything(bus: Bus) -> list[LogRecord]:
    return [
        record
        for partition, end in bus.end_offsets().items()
        for records in bus.read(partition, 0, end)
        for record in records
    ]


def delete_topic(mode: Mode) -> None:
    if mode.bus == "kafka":
        from kafka import KafkaAdminClient

        admin = KafkaAdminClient(bootstrap_servers=mode.env["KAFKA_BOOTSTRAP_SERVERS"])
        topic = mode.env["KAFKA_TOPIC"]
        admin.delete_topics([topic])
        gone = lambda: admin.describe_topics([topic])[0]["error_code"] != 0  # noqa: E731
        wait_until(gone, "the broker knows that it is gone")
        admin.close()
    else:
        for model in (Log, LogPartition, EmbeddedRecord):
            model.objects.all().delete()


# --- publishing ------------------------------------------------------------------------------


def test_records_of_a_key_stay_in_order_and_offsets_are_dense(bus: Bus) -> None:
    messages = numbered(2_500)
    publisher = bus.publisher()
    for start in range(0, len(messages), 1_000):
        publisher.publish(messages[start : start + 1_000])
    publisher.close()

    found = everything(bus)
    for partition in range(PARTITIONS):
        offsets = [record.offset for record in found if record.partition == partition]
        assert offsets == list(range(len(offsets)))
    for key in {message.key for message in messages}:
        sent = [message.value for message in messages if message.key == key]
        assert [r.value for r in found if r.key == key.encode()] == sent
        assert {r.partition for r in found if r.key == key.encode()} == {
            partition_of(key, PARTITIONS)
        }


def test_what_was_published_is_there_when_publish_returns(bus: Bus) -> None:
    publisher = bus.publisher()
    for count in range(1, 20):
        publisher.publish(numbered(1))
        assert sum(bus.end_offsets().values()) == count
    publisher.close()


def test_publishing_nothing_changes_nothing(bus: Bus) -> None:
    publish(bus, [])
    assert sum(bus.end_offsets().values()) == 0


def test_publishers_at_once_leave_no_gap_and_lose_nothing(bus: Bus) -> None:
    batches = [numbered(300) for _ in range(3)]
    errors: list[BaseException] = []
    begin = Barrier(len(batches))

    def run(messages: list[Message]) -> None:
        try:
            begin.wait(30)
            publisher = bus.publisher()
            for start in range(0, len(messages), 50):
                publisher.publish(messages[start : start + 50])
            publisher.close()
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [Thread(target=run, args=(messages,)) for messages in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    found = everything(bus)
    assert len(found) == 900
    for message_list in batches:
        key = message_list[0].key
        sent = [message.value for message in message_list if message.key == key]
        assert [r.value for r in found if r.key == key.encode()] == sent


def test_a_large_value_arrives_whole(bus: Bus, member: Member) -> None:
    key = str(uuid4())
    values = [os.urandom(1_000_000), os.urandom(60_000), b"small"]
    publish(bus, [Message(key, value) for value in values])
    wait_until(lambda: member.has(3), "all are there")
    assert [record.value for record in member.records] == values


def test_after_an_error_another_publisher_goes_on(bus: Bus, mode: Mode) -> None:
    broken = bus.publisher()
    broken.publish(numbered(1))
    broken.close()
    if mode.bus == "kafka":
        with pytest.raises(BusError):
            broken.publish(numbered(1))
    broken.close()
    publish(bus, numbered(1))
    assert sum(bus.end_offsets().values()) == 2


# --- subscribing -----------------------------------------------------------------------------


def test_a_new_assignment_gives_nothing_until_it_is_sought(bus: Bus) -> None:
    publish(bus, numbered(200))
    subscription = bus.subscribe(GROUP)
    polled = wait_until(
        lambda: (p := subscription.poll(timeout_s=0.5, max_records=10)).changed and p, "assigned"
    )
    assert polled.records == {}
    assert polled.assignment == frozenset(range(PARTITIONS))
    for _ in range(10):
        later = subscription.poll(timeout_s=0.1, max_records=10)
        assert later.records == {}
        assert not later.changed
    for partition in polled.assignment:
        subscription.seek(partition, 0)
    wait_until(lambda: subscription.poll(timeout_s=0.5, max_records=10).records, "records")
    subscription.close()


def test_a_change_is_told_at_once_however_long_the_poll_may_wait(bus: Bus) -> None:
    subscription = bus.subscribe(GROUP)
    assert subscription.poll(timeout_s=60, max_records=10).changed  # the test's deadline is less
    subscription.close()


@pytest.mark.timeout(60)
def test_a_poll_returns_as_soon_as_there_is_a_record(bus: Bus, member: Member) -> None:
    publisher = bus.publisher()
    for count in range(1, 21):
        publisher.publish(numbered(1))
        member.step(timeout_s=50)
        assert len(member.records) == count
    publisher.close()


def test_no_more_records_than_asked_for_and_all_in_the_end(bus: Bus, member: Member) -> None:
    publish(bus, numbered(500))
    sizes = []
    wait_until(lambda: sizes.append(len(member.step(max_records=7))) or member.has(500), "all")
    assert max(sizes) == 7
    assert len({(r.partition, r.offset) for r in member.records}) == 500


def test_every_partition_has_its_turn(bus: Bus, member: Member) -> None:
    publish(bus, [m for partition in (1, 2, 3) for m in in_partition(partition, 400)])
    wait_until(lambda: member.step(max_records=50) and len(member.records) >= 600, "half of it")
    wait_until(lambda: member.has(1_200), "the rest")
    assert {record.partition for record in member.records} == {1, 2, 3}


def test_seeking_back_reads_again_and_seeking_on_skips(bus: Bus, member: Member) -> None:
    publish(bus, in_partition(5, 30))
    wait_until(lambda: member.has(30), "all are read")
    for offset, count in ((10, 20), (29, 1), (0, 30)):
        member.subscription.seek(5, offset)
        member.positions[5] = offset
        member.records.clear()
        wait_until(lambda count=count: member.has(count), f"{count} from {offset}")
        assert [r.offset for r in member.records] == list(range(offset, 30))


def test_seeking_in_the_middle_of_what_was_fetched(bus: Bus, member: Member) -> None:
    publish(bus, in_partition(5, 1_000))
    for _ in range(30):
        wait_until(lambda: member.step(max_records=40), "some")
        back = member.positions[5] - 25
        member.subscription.seek(5, back)
        member.positions[5] = back
    wait_until(lambda: member.step() == [] and member.positions[5] == 1_000, "the end")


def test_a_paused_partition_waits_and_the_others_go_on(bus: Bus, member: Member) -> None:
    member.subscription.pause(3)
    publish(bus, in_partition(3, 5) + in_partition(4, 5))
    wait_until(lambda: member.has(5), "the other partition")
    for _ in range(5):
        member.step()
    assert {record.partition for record in member.records} == {4}
    member.subscription.seek(3, 0)
    for _ in range(5):
        member.step()
    assert {record.partition for record in member.records} == {4}, "a seek does not resume"
    member.subscription.resume(3)
    wait_until(lambda: member.has(10), "the paused one")


def test_seeking_a_partition_of_somebody_else_is_an_error(bus: Bus) -> None:
    subscription = bus.subscribe(GROUP)
    with pytest.raises(ValueError, match="assigned"):
        subscription.seek(0, 0)
    subscription.close()


def test_groups_do_not_share(bus: Bus, member: Member) -> None:
    other = Member(bus.subscribe("another group"))
    wait_until(lambda: other.owns(PARTITIONS), "it has all too")
    publish(bus, numbered(50))
    wait_until(lambda: member.has(50) and other.has(50), "both have everything")
    other.subscription.close()


# --- groups ----------------------------------------------------------------------------------


class Worked(Thread):
    """A member that polls in a thread of its own, as each consumer does."""

    def __init__(self, bus: Bus, positions: dict[int, int]) -> None:
        super().__init__()
        self.bus = bus
        self.member = Member(None, positions)  # type: ignore[arg-type]  # made in its thread
        self.stopping = False
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.member.subscription = self.bus.subscribe(GROUP)
            while not self.stopping:
                self.member.step(timeout_s=0.5)
            self.member.subscription.close()
        except BaseException as error:
            self.error = error
        finally:
            connections.close_all()

    def stop(self) -> None:
        self.stopping = True
        self.join(30)

    def owns(self, count: int) -> bool:
        assert self.error is None, self.error
        return len(self.member.assignment) == count


@dataclass
class Group:
    """The members of a group, which share their positions."""

    bus: Bus
    positions: dict[int, int] = field(default_factory=dict)
    members: list[Worked] = field(default_factory=list)

    def join(self, count: int) -> list[Worked]:
        """Add members, and wait until each partition has one owner and each owner its share."""
        new = [Worked(self.bus, self.positions) for _ in range(count)]
        self.members += new
        self.settle()
        return new

    def leave(self, members: list[Worked]) -> None:
        for one in members:
            one.stop()
            self.members.remove(one)

    def settle(self, deadline_s: float = 30) -> None:
        wait_until(self.is_shared, "each partition has one owner, each owner its share", deadline_s)

    def is_shared(self) -> bool:
        """While members see one another come and go, a partition may have two or none."""
        share = PARTITIONS // len(self.members)
        owned = [p for one in self.members for p in one.member.assignment]
        return all(one.owns(share) for one in self.members) and len(set(owned)) == PARTITIONS

    def records(self) -> list[LogRecord]:
        return [record for one in self.members for record in one.member.records]


@pytest.fixture
def group(bus: Bus) -> Iterator[Group]:
    found = Group(bus)
    found.join(1)
    yield found
    found.leave(list(found.members))


def test_two_members_share_and_each_record_goes_to_one(bus: Bus, group: Group) -> None:
    group.join(1)
    publish(bus, numbered(600, keys=100))
    wait_until(lambda: len(group.records()) >= 600, "everything arrived")
    for one in group.members:
        assert {record.partition for record in one.member.records} <= one.member.assignment
    assert len({(r.partition, r.offset) for r in group.records()}) == len(group.records()) == 600


def test_who_closes_is_replaced_within_seconds(bus: Bus, group: Group) -> None:
    second = group.join(1)
    publish(bus, numbered(100))
    group.leave(second)
    group.settle(4)
    wait_until(lambda: sum(group.positions.values()) == 100, "all is read")


SECOND = f"import django; django.setup(); from {__name__} import follow; follow()"


def test_who_is_killed_is_replaced(bus: Bus, mode: Mode, group: Group) -> None:
    (first,) = group.members
    with Worker(mode.env, program=[sys.executable, "-c", SECOND]) as second:
        wait_until(lambda: first.owns(PARTITIONS // 2), "the other has its half")
        second.kill()
        publish(bus, numbered(100))
        wait_until(lambda: first.owns(PARTITIONS), "the first has all", 20)
        wait_until(lambda: sum(group.positions.values()) == 100, "and reads all")


def test_who_was_frozen_hears_of_a_change_and_has_its_share_again(
    bus: Bus, mode: Mode, group: Group
) -> None:
    (first,) = group.members
    with Worker(mode.env, program=[sys.executable, "-c", SECOND]) as second:
        wait_until(lambda: first.owns(6) and "assigned 6" in second.output(), "shared")
        freeze_between_writes(second)
        wait_until(lambda: first.owns(PARTITIONS), "the first has all", 20)
        before = second.output().count("assigned 6")
        second.thaw()
        wait_until(
            lambda: first.owns(6) and second.output().count("assigned 6") > before, "shared again"
        )
        publish(bus, numbered(100))
        wait_until(lambda: len(group.records()) > 0, "it goes on")


def test_members_that_come_and_go_leave_no_partition_alone(group: Group) -> None:
    for count in (2, 3, 1, 5):
        new = group.join(count)
        group.leave(new)
        group.settle()


# --- offsets and reading ----------------------------------------------------------------------


def test_begin_and_end_offsets_follow_the_log(bus: Bus, mode: Mode) -> None:
    every = dict.fromkeys(range(PARTITIONS), 0)
    assert bus.begin_offsets() == bus.end_offsets() == every
    publish(bus, in_partition(7, 9))
    assert bus.end_offsets() == {**every, 7: 9}
    lose_records_before(mode, 7, 4)
    assert bus.begin_offsets() == {**every, 7: 4}
    lose_records_before(mode, 7, 9)
    assert bus.begin_offsets() == bus.end_offsets() == {**every, 7: 9}
    publish(bus, in_partition(7, 1))
    assert bus.end_offsets()[7] == 10, "offsets are not given twice"


def test_read_gives_exactly_what_is_asked_for(bus: Bus) -> None:
    publish(bus, in_partition(2, 50))

    def read(start: int, stop: int) -> list[int]:
        return [r.offset for records in bus.read(2, start, stop) for r in records]

    assert read(0, 50) == list(range(50))
    assert read(13, 29) == list(range(13, 29))
    assert read(50, 50) == read(20, 10) == []


def test_reading_what_is_not_there_is_out_of_range(bus: Bus, mode: Mode) -> None:
    publish(bus, in_partition(2, 20))
    lose_records_before(mode, 2, 5)
    with pytest.raises(OffsetOutOfRange, match="partition 2"):
        list(bus.read(2, 0, 20))
    with pytest.raises(OffsetOutOfRange, match="partition 2"):
        list(bus.read(2, 5, 21))
    assert sum(len(records) for records in bus.read(2, 5, 20)) == 15


@pytest.mark.parametrize("offset", [0, 21], ids=["before the first", "behind the end"])
def test_polling_an_offset_that_is_not_there_is_out_of_range(
    bus: Bus, mode: Mode, member: Member, offset: int
) -> None:
    publish(bus, in_partition(2, 20))
    lose_records_before(mode, 2, 5)
    member.subscription.seek(2, offset)
    with pytest.raises(OffsetOutOfRange) as raised:
        wait_until(lambda: member.step() and False, "it is refused")
    assert (raised.value.partition, raised.value.offset) == (2, offset)
    assert "offset 5 and end before offset 20" in str(raised.value)


# --- which log it is ---------------------------------------------------------------------------


def test_the_identity_stays_while_the_log_does(bus: Bus) -> None:
    before = bus.identity()
    publish(bus, numbered(10))
    bus.ensure_topic()
    bus.close()
    assert bus.identity() == before
    assert before.partitions == PARTITIONS


def test_a_log_made_anew_has_another_identity(bus: Bus, mode: Mode) -> None:
    before = bus.identity()
    delete_topic(mode)

    def told() -> bool:
        try:
            bus.identity()
        except HistoryMismatch:
            return True
        return False

    wait_until(told, "its loss is told")
    bus.ensure_topic()
    assert bus.identity() != before
    assert bus.identity().cluster == before.cluster


def test_another_partition_count_is_refused(bus: Bus) -> None:
    with postlog(kafka={"partitions": PARTITIONS + 1}):
        current_bus().ensure_topic()
        with pytest.raises(HistoryMismatch, match=r'12 partitions, .*"partitions"] says 13'):
            current_bus().identity()
        current_bus().close()


def test_processes_that_make_the_topic_at_once_agree(mode: Mode) -> None:
    delete_topic(mode)
    identities: list[object] = []
    begin = Barrier(4)

    def run() -> None:
        # A bus of its own, as in another process.
        bus = type(current_bus())(*arguments(mode))
        try:
            begin.wait(30)
            bus.ensure_topic()
            identities.append(bus.identity())
        except BaseException as error:
            identities.append(error)
        finally:
            bus.close()
            connections.close_all()

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert identities == [current_bus().identity()] * 4


def arguments(mode: Mode) -> tuple[Any, ...]:
    if mode.bus == "kafka":
        from messaging import conf

        return (conf.postlog().kafka,)
    return (mode.env["KAFKA_TOPIC"], PARTITIONS)


# --- another process ----------------------------------------------------------------------------


def follow() -> None:
    """A second member of the group, to be killed or frozen."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    one = Member(current_bus().subscribe(GROUP))
    told = 0
    while True:
        with suppress(BusError):  # of what was under way when it was frozen
            one.step()
        if one.changes != told:
            told = one.changes
            print("assigned", len(one.assignment), flush=True)  # noqa: T201
