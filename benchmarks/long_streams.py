"""A command on a stream with many events behind it, against one with few."""

import itertools
import time
from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

from benchmarks.measure import Result, medians

MANY, FEW = 10_000, 10
COMMANDS = 60
ROUNDS = 5

numbers = itertools.count()
Events = Callable[[UUID, int], list[object]]


def results() -> Iterator[Result]:
    for name, events, target in (
        ("edits", edits, 2.0),
        ("likes", likes, 10.0),
        ("comments", comments, 10.0),
    ):
        few, many = post_with(events, FEW), post_with(events, MANY)
        long, short = medians(ROUNDS, lambda p=many: edit_ms(p), lambda p=few: edit_ms(p))  # type: ignore[misc]
        yield Result(
            name="a command on a long stream",
            workload=f"an edit of a post with {MANY:,} {name}; {ROUNDS} rounds of {COMMANDS}",
            ours=long,
            limit=short,
            against=f"of a post with {FEW} {name}",
            unit="ms",
            target=target,
            higher_is_better=False,
        )
        with_snapshot, without = medians(ROUNDS, lambda p=many: edit_ms(p), lambda p=many: rare(p))  # type: ignore[misc]
        yield Result(
            name="writing snapshots",
            workload=f"the same, a snapshot every 100 edits; 300 edits on {MANY:,} {name}",
            ours=with_snapshot,
            limit=without,
            against="without writing any",
            unit="ms",
            target=1.05,
            higher_is_better=False,
        )


def post_with(events: Events, count: int) -> UUID:
    """Stored in lots, through the repository, so that it has its snapshots."""
    from commands_app.handlers import posts
    from messaging.contracts.posts import PostCreated
    from messaging.eventstore.unit import UnitOfWork, in_one_transaction
    from messaging.message import Context

    post_id = uuid4()
    todo = [PostCreated(post_id=post_id, author="author", message="first"), *events(post_id, count)]
    for start in range(0, len(todo), 500):
        part = todo[start : start + 500]

        def append(unit: UnitOfWork, part: list[object] = part):  # type: ignore[no-untyped-def]
            return posts.save(unit, posts.load(unit, post_id), part, ids={})  # type: ignore[arg-type]

        in_one_transaction(Context(actor="author"), append)
    return post_id


def edits(post_id: UUID, count: int) -> list[object]:
    from messaging.contracts.posts import MessageUpdated

    return [MessageUpdated(post_id=post_id, message=f"text {n} " * 10) for n in range(count)]


def likes(post_id: UUID, count: int) -> list[object]:
    from messaging.contracts.posts import PostLiked

    return [PostLiked(post_id=post_id, username=f"person{n}") for n in range(count)]


def comments(post_id: UUID, count: int) -> list[object]:
    from messaging.contracts.posts import CommentAdded

    text = "A comment of some length, as people write them. " * 2
    return [
        CommentAdded(post_id=post_id, comment_id=uuid4(), author=f"person{n}", text=text)
        for n in range(count)
    ]


def edit_ms(post_id: UUID) -> float:
    from commands_app.commands import EditMessage
    from messaging import mediator
    from messaging.message import Context

    author = Context(actor="author")
    begun = time.perf_counter()
    for _ in range(COMMANDS):
        mediator.send(EditMessage(post_id=post_id, message=f"edit {next(numbers)}"), author)
    return (time.perf_counter() - begun) / COMMANDS * 1_000


def rare(post_id: UUID) -> float:
    """The same without snapshots, from the last one on."""
    from messaging.eventstore import repository

    every, repository.EVERY = repository.EVERY, 10**9
    try:
        return edit_ms(post_id)
    finally:
        repository.EVERY = every
