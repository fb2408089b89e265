"""Several of each: partitions are shared, handed over when one stops, and it shows who is alive."""

import re
from collections.abc import Iterable
from uuid import uuid4

from commands_app.commands import DeletePost, LikePost, NewPost
from messaging import mediator
from messaging.eventstore.models import Event
from messaging.message import Context
from messaging.monitoring.status import current_status
from messaging.projections.models import DeadLetter
from messaging.testing.waiting import wait_until
from messaging.workers import heartbeats
from queries_app.models import Person
from tests.support.fold import assert_people_equal_the_fold, assert_read_models_equal_the_fold
from tests.support.modes import Mode
from tests.support.processes import Worker


def drained() -> bool:
    found = current_status()
    return found.outbox == 0 and found.lag == 0


def owned(worker: Worker, projection: str = "posts") -> set[int]:
    """The partitions that it said last that it has."""
    said = re.findall(rf"{projection}: partitions (\[.*?\]|none)", worker.output())
    return set(map(int, re.findall(r"\d+", said[-1]))) if said else set()


def shared(one: Worker, other: Worker) -> bool:
    """Both have some, together they have all, and none twice."""
    first, second = owned(one), owned(other)
    return bool(first and second) and sorted([*first, *second]) == list(range(12))


def send(posts: Iterable[object], number: int) -> None:
    for post_id in posts:
        mediator.send(LikePost(post_id=post_id), Context(actor=f"person{number}"))  # type: ignore[arg-type]


def test_partitions_are_shared_and_handed_over_within_seconds(mode: Mode) -> None:
    author = Context(actor="author")
    posts = [mediator.send(NewPost(post_id=uuid4(), message="a"), author).stream_id] + [
        mediator.send(NewPost(message="a"), author).stream_id for _ in range(30)
    ]
    everything = set(range(12))
    with Worker(mode.env, "runconsumer") as first:
        wait_until(lambda: owned(first) == everything, "the first has all")
        with Worker(mode.env, "runconsumer") as second:
            wait_until(lambda: shared(first, second), "they share them", 60)
            send(posts, 1)
            wait_until(drained, "both consume", 60)
            assert second.stop() == 0, "it leaves by itself"
            wait_until(lambda: owned(first) == everything, "the first has all again")
        with Worker(mode.env, "runconsumer") as third:
            wait_until(lambda: owned(third), "another shares them", 60)
            third.kill()
            send(posts, 2)
            wait_until(drained, "what was killed is taken over", 60)
        assert first.stop() == 0
    assert Event.objects.count() == 31 * 3
    assert not DeadLetter.objects.exists()
    assert assert_read_models_equal_the_fold() == 31


def test_totals_stay_exact_when_their_owner_is_killed_and_another_takes_over(
    postgresql: Mode,
) -> None:
    def write(count: int) -> None:
        for number in range(count):
            author = Context(actor=f"author{number % 3}")
            post_id = mediator.send(NewPost(message="a"), author).stream_id
            if number % 4 == 0:
                mediator.send(DeletePost(post_id=post_id), author)

    def of_people() -> list[bool]:
        return [one.active for one in heartbeats.alive("owner of people")]

    def roles() -> list[tuple[str, bool]]:
        return [(found.role, found.at_work) for found in current_status().workers]

    with (
        Worker(postgresql.env, "runconsumer") as one,
        Worker(postgresql.env, "runconsumer") as other,
    ):
        wait_until(lambda: of_people() == [True, False], "one owns the totals", 60)
        # It has the lock before its group gives it partitions, and they tell the two workers apart.
        wait_until(lambda: owned(one, "people") or owned(other, "people"), "it has partitions", 60)
        owners = [("owner of people", True), ("owner of people", False)]
        wait_until(lambda: roles()[-2:] == owners, "both beat")
        owner, standby = (one, other) if owned(one, "people") else (other, one)
        assert owned(standby, "people") == set(), "it is not in the group"
        write(40)
        wait_until(lambda: Person.objects.exists(), "totals are added up", 60)
        owner.kill()
        write(40)
        wait_until(drained, "the other takes over", 60)
        assert owned(standby, "people") == set(range(12))
        assert standby.stop() == 0
    assert assert_people_equal_the_fold() == 3
    assert not DeadLetter.objects.exists()


def test_it_shows_which_workers_are_alive(sqlite: Mode) -> None:
    def relays() -> list[bool]:
        return [one.active for one in heartbeats.alive("relay")]

    assert heartbeats.missing_workers() == ["manage.py runconsumer"]
    with Worker(sqlite.env, "runconsumer", "--no-relay") as consumer:
        wait_until(lambda: heartbeats.missing_workers() == ["manage.py runrelay"], "it beats")
        with Worker(sqlite.env, "runrelay") as relay, Worker(sqlite.env, "runrelay") as standby:
            wait_until(lambda: len(heartbeats.alive("relay")) == 2, "both relays beat")
            wait_until(lambda: not heartbeats.missing_workers(), "one of them is active")
            told = ["relay", "relay", "consumer", "owner of people"]
            wait_until(lambda: relays() == [True, False], "one is active, one stands by")
            wait_until(lambda: [one.role for one in current_status().workers] == told, "all beat")
            assert (relay.stop(), standby.stop()) == (0, 0)
        wait_until(lambda: not heartbeats.alive("relay"), "who stops signs off")
        consumer.kill()
        assert heartbeats.alive("consumer"), "a killed one cannot"
        wait_until(lambda: not heartbeats.alive("consumer"), "but its row grows old")
    assert heartbeats.missing_workers() == ["manage.py runconsumer"]
