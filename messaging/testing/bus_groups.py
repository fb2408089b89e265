"""The part of the contract of a bus (bus_contract.py) that is about subscriptions and groups."""

from collections.abc import Iterator
from functools import partial

import pytest

from messaging.bus.base import Bus, Polled
from messaging.testing.bus_members import (
    GROUP,
    PARTITIONS,
    Group,
    Member,
    grouped,
    in_partition,
    numbered,
    publish,
)
from messaging.testing.waiting import wait_until


class GroupContract:
    @pytest.fixture
    def member(self, bus: Bus) -> Iterator[Member]:
        """The only member of its group, which has every partition."""
        found = Member(bus.subscribe(GROUP))
        wait_until(lambda: found.owns(PARTITIONS), "all partitions are assigned")
        yield found
        found.subscription.close()

    @pytest.fixture
    def group(self, bus: Bus) -> Iterator[Group]:
        with grouped(bus) as found:
            yield found

    def test_a_new_assignment_gives_nothing_until_it_is_sought(self, bus: Bus) -> None:
        publish(bus, numbered(200))
        subscription = bus.subscribe(GROUP)

        def poll() -> Polled:
            return subscription.poll(timeout_s=0.5, max_records=10)

        polled = wait_until(lambda: p if (p := poll()).changed else None, "assigned")
        assert polled is not None
        assert polled.records == {}
        assert polled.assignment == frozenset(range(PARTITIONS))
        for _ in range(10):
            later = subscription.poll(timeout_s=0.1, max_records=10)
            assert later.records == {}
            assert not later.changed
        for partition in polled.assignment:
            subscription.seek(partition, 0)
        wait_until(lambda: poll().records, "records")
        subscription.close()

    def test_a_partition_that_is_paused_before_it_is_sought_stays_paused(self, bus: Bus) -> None:
        publish(bus, in_partition(3, 5) + in_partition(4, 5))
        subscription = bus.subscribe(GROUP)
        wait_until(lambda: subscription.poll(timeout_s=5, max_records=10).changed, "assigned")
        subscription.pause(3)
        found: list[int] = []

        def polled(count: int) -> bool:
            records = subscription.poll(timeout_s=0.2, max_records=10).records
            found.extend(p for p, part in records.items() for _ in part)
            return len(found) >= count

        for partition in range(PARTITIONS):
            subscription.seek(partition, 0)
        wait_until(lambda: polled(5), "the other partition")
        for _ in range(3):
            polled(0)
        assert found == [4] * 5
        subscription.resume(3)
        wait_until(lambda: polled(10), "the one that was paused")
        subscription.close()

    def test_a_change_is_told_at_once_however_long_the_poll_may_wait(self, bus: Bus) -> None:
        subscription = bus.subscribe(GROUP)
        # The test's deadline is less.
        assert subscription.poll(timeout_s=60, max_records=10).changed
        subscription.close()

    @pytest.mark.timeout(60)
    def test_a_poll_returns_as_soon_as_there_is_a_record(self, bus: Bus, member: Member) -> None:
        publisher = bus.publisher()
        for count in range(1, 21):
            publisher.publish(numbered(1))
            member.step(timeout_s=50)
            assert len(member.records) == count
        publisher.close()

    def test_no_more_records_than_asked_for_and_all_in_the_end(
        self, bus: Bus, member: Member
    ) -> None:
        publish(bus, numbered(500))
        sizes: list[int] = []
        while len(member.records) < 500 and len(sizes) < 500:
            sizes.append(len(member.step(max_records=7)))
        assert max(sizes) == 7
        assert len({(r.partition, r.offset) for r in member.records}) == 500

    def test_every_partition_has_its_turn(self, bus: Bus, member: Member) -> None:
        publish(bus, [m for partition in (1, 2, 3) for m in in_partition(partition, 400)])
        wait_until(lambda: member.step(max_records=50) and len(member.records) >= 600, "half of it")
        wait_until(lambda: member.has(1_200), "the rest")
        assert {record.partition for record in member.records} == {1, 2, 3}

    def test_seeking_back_reads_again_and_seeking_on_skips(self, bus: Bus, member: Member) -> None:
        publish(bus, in_partition(5, 30))
        wait_until(lambda: member.has(30), "all are read")
        for offset, count in ((10, 20), (29, 1), (0, 30)):
            member.subscription.seek(5, offset)
            member.positions[5] = offset
            member.records.clear()
            wait_until(partial(member.has, count), f"{count} from {offset}")
            assert [r.offset for r in member.records] == list(range(offset, 30))

    def test_seeking_in_the_middle_of_what_was_fetched(self, bus: Bus, member: Member) -> None:
        publish(bus, in_partition(5, 1_000))
        for _ in range(30):
            wait_until(lambda: member.step(max_records=40), "some")
            back = member.positions[5] - 25
            member.subscription.seek(5, back)
            member.positions[5] = back
        wait_until(lambda: member.step() == [] and member.positions[5] == 1_000, "the end")

    def test_a_paused_partition_waits_and_the_others_go_on(self, bus: Bus, member: Member) -> None:
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

    def test_what_was_fetched_of_a_paused_partition_comes_when_it_is_resumed(
        self, bus: Bus, member: Member
    ) -> None:
        publish(bus, in_partition(3, 100) + in_partition(4, 100))
        wait_until(lambda: member.step(max_records=30), "a part of one partition")
        paused = member.records[-1].partition
        (other,) = {3, 4} - {paused}
        at = member.positions[paused]
        assert at < 100
        member.subscription.pause(paused)
        wait_until(lambda: member.step() == [] and member.positions.get(other) == 100, "the other")
        assert member.positions[paused] == at
        member.subscription.seek(paused, at)
        member.subscription.resume(paused)
        wait_until(lambda: member.has(200), "the rest of the paused one")

    def test_seeking_a_partition_of_somebody_else_is_an_error(self, bus: Bus) -> None:
        subscription = bus.subscribe(GROUP)
        with pytest.raises(ValueError, match="assigned"):
            subscription.seek(0, 0)
        subscription.close()

    def test_groups_do_not_share(self, bus: Bus, member: Member) -> None:
        other = Member(bus.subscribe("another group"))
        wait_until(lambda: other.owns(PARTITIONS), "it has all too")
        publish(bus, numbered(50))
        wait_until(lambda: member.has(50) and other.has(50), "both have everything")
        other.subscription.close()

    def test_two_members_share_and_each_record_goes_to_one(self, bus: Bus, group: Group) -> None:
        group.join(1)
        publish(bus, numbered(600, keys=100))
        wait_until(lambda: len(group.records()) >= 600, "everything arrived")
        for one in group.members:
            assert {record.partition for record in one.member.records} <= one.member.assignment
        found = [(record.partition, record.offset) for record in group.records()]
        assert len(set(found)) == len(found) == 600

    def test_who_closes_is_replaced_within_seconds(self, bus: Bus, group: Group) -> None:
        second = group.join(1)
        publish(bus, numbered(100))
        group.leave(second)
        group.settle(9)
        wait_until(lambda: sum(group.positions.values()) == 100, "all is read")

    def test_members_that_come_and_go_leave_no_partition_alone(self, group: Group) -> None:
        for count in (2, 3, 1, 5):
            new = group.join(count)
            group.leave(new)
            group.settle()
