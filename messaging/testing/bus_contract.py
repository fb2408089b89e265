"""What every bus keeps to: a suite that runs on any implementation of `messaging.bus.base.Bus`.

class TestMyBus(BusContract):
    @pytest.fixture
    def bus(self) -> Iterator[Bus]:
        bus = MyBus(topic=str(uuid4()), partitions=PARTITIONS)
        bus.ensure_topic()
        yield bus
        bus.close()

    def delete_topic(self, bus: Bus) -> None:
        admin_of_my_bus.delete(bus.topic)
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from uuid import uuid4

import pytest
from django.db import connections

from messaging.bus.base import Bus, Message, partition_of
from messaging.exceptions import HistoryMismatch, OffsetOutOfRange
from messaging.testing.bus_groups import GroupContract
from messaging.testing.bus_members import (
    PARTITIONS,
    Member,
    everything,
    in_partition,
    numbered,
    publish,
)
from messaging.testing.waiting import wait_until


class BusContract(GroupContract):
    @pytest.fixture
    def bus(self) -> Iterator[Bus]:
        """A bus whose topic is new, empty and of `PARTITIONS` partitions. Override this."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `bus`.")

    def lose_records_before(self, bus: Bus, partition: int, offset: int) -> None:
        """Delete the first records of a partition, as retention does. Without it, the tests of what
        is lost are skipped."""
        pytest.skip("lose_records_before is not overridden")

    def delete_topic(self, bus: Bus) -> None:
        """Delete the topic. Without it, the tests of a topic that is made again are skipped."""
        pytest.skip("delete_topic is not overridden")

    def another(self, bus: Bus) -> Bus:
        """A second bus of the same topic, as another process makes one."""
        return bus

    # --- publishing -------------------------------------------------------------------------------

    def test_records_of_a_key_stay_in_order_and_offsets_are_dense(self, bus: Bus) -> None:
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

    def test_what_was_published_is_there_when_publish_returns(self, bus: Bus) -> None:
        publisher = bus.publisher()
        for count in range(1, 20):
            publisher.publish(numbered(1))
            assert sum(bus.end_offsets().values()) == count
        publisher.close()

    def test_publishing_nothing_changes_nothing(self, bus: Bus) -> None:
        publish(bus, [])
        assert sum(bus.end_offsets().values()) == 0

    def test_publishers_at_once_leave_no_gap_and_lose_nothing(self, bus: Bus) -> None:
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

    def test_a_large_value_arrives_whole(self, bus: Bus, member: Member) -> None:
        key = str(uuid4())
        values = [os.urandom(1_000_000), os.urandom(60_000), b"small"]
        publish(bus, [Message(key, value) for value in values])
        wait_until(lambda: member.has(3), "all are there")
        assert [record.value for record in member.records] == values

    def test_after_an_error_another_publisher_goes_on(self, bus: Bus) -> None:
        broken = bus.publisher()
        broken.publish(numbered(1))
        broken.close()
        broken.close()
        publish(bus, numbered(1))
        assert sum(bus.end_offsets().values()) == 2

    # --- offsets and reading ----------------------------------------------------------------------

    def test_begin_and_end_offsets_follow_the_log(self, bus: Bus) -> None:
        every = dict.fromkeys(range(PARTITIONS), 0)
        assert bus.begin_offsets() == bus.end_offsets() == every
        publish(bus, in_partition(7, 9))
        assert bus.end_offsets() == {**every, 7: 9}
        self.lose_records_before(bus, 7, 4)
        assert bus.begin_offsets() == {**every, 7: 4}
        self.lose_records_before(bus, 7, 9)
        assert bus.begin_offsets() == bus.end_offsets() == {**every, 7: 9}
        publish(bus, in_partition(7, 1))
        assert bus.end_offsets()[7] == 10, "offsets are not given twice"

    def test_records_are_found_by_when_they_were_written(self, bus: Bus) -> None:
        for _ in range(5):
            publish(bus, in_partition(2, 2))
        long_ago = datetime(2000, 1, 1, tzinfo=UTC)
        times = [at for _, at in bus.written_since(2, long_ago)]
        if not times:
            pytest.skip("this bus does not know when its records were written")
        assert len(times) == 10
        assert times == sorted(times)
        assert abs(times[-1] - datetime.now(UTC)) < timedelta(minutes=5)
        for at in times:
            expected = [offset for offset, other in enumerate(times) if other >= at]
            assert [record.offset for record, _ in bus.written_since(2, at)] == expected
        assert list(bus.written_since(2, times[-1] + timedelta(milliseconds=1))) == []
        assert list(bus.written_since(3, long_ago)) == []

    def test_read_gives_exactly_what_is_asked_for(self, bus: Bus) -> None:
        publish(bus, in_partition(2, 50))

        def read(start: int, stop: int) -> list[int]:
            return [r.offset for records in bus.read(2, start, stop) for r in records]

        assert read(0, 50) == list(range(50))
        assert read(13, 29) == list(range(13, 29))
        assert read(50, 50) == read(20, 10) == []

    def test_reading_what_is_not_there_is_out_of_range(self, bus: Bus) -> None:
        publish(bus, in_partition(2, 20))
        self.lose_records_before(bus, 2, 5)
        with pytest.raises(OffsetOutOfRange, match="partition 2"):
            list(bus.read(2, 0, 20))
        with pytest.raises(OffsetOutOfRange, match="partition 2"):
            list(bus.read(2, 5, 21))
        assert sum(len(records) for records in bus.read(2, 5, 20)) == 15

    @pytest.mark.parametrize("offset", [0, 21], ids=["before the first", "behind the end"])
    def test_polling_an_offset_that_is_not_there_is_out_of_range(
        self, bus: Bus, member: Member, offset: int
    ) -> None:
        publish(bus, in_partition(2, 20))
        self.lose_records_before(bus, 2, 5)
        member.subscription.seek(2, offset)
        with pytest.raises(OffsetOutOfRange) as raised:
            wait_until(lambda: member.step() and False, "it is refused")
        assert (raised.value.partition, raised.value.offset) == (2, offset)
        assert "offset 5 and end before offset 20" in str(raised.value)

    # --- which log it is --------------------------------------------------------------------------

    def test_the_identity_stays_while_the_log_does(self, bus: Bus) -> None:
        before = bus.identity()
        publish(bus, numbered(10))
        bus.ensure_topic()
        bus.close()
        assert bus.identity() == before
        assert before.partitions == PARTITIONS

    def test_a_log_made_anew_has_another_identity(self, bus: Bus) -> None:
        before = bus.identity()
        self.delete_topic(bus)

        def told() -> bool:
            try:
                bus.identity()
            except HistoryMismatch:
                return True
            return False

        wait_until(told, "the loss is reported")
        bus.ensure_topic()
        assert bus.identity() != before
        assert bus.identity().cluster == before.cluster

    def test_processes_that_make_the_topic_at_once_agree(self, bus: Bus) -> None:
        self.delete_topic(bus)
        identities: list[object] = []
        begin = Barrier(4)

        def run() -> None:
            # A bus of its own, as in another process.
            other = self.another(bus)
            try:
                begin.wait(30)
                other.ensure_topic()
                identities.append(other.identity())
            except BaseException as error:
                identities.append(error)
            finally:
                other.close()
                connections.close_all()

        threads = [Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert identities == [bus.identity()] * 4
