"""A command on a stream with many events behind it, against one with few; and each command on a
post that is nearly full, against a post with nothing on it."""

import itertools
import time
from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

from benchmarks.measure import Result, medians

MANY, FEW = 10_000, 10
NEARLY_FULL = 9_500  # of the 10,000 likes and 10,000 comments that a post takes
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

    yield from on_a_full_post()


def on_a_full_post() -> Iterator[Result]:
    empty, full = post_with(nothing, 0), post_with(likes_and_comments, NEARLY_FULL)
    for name, work in ON_A_POST.items():
        long, short = medians(ROUNDS, lambda w=work: w(full), lambda w=work: w(empty))  # type: ignore[misc]
        yield Result(
            name="a command on a full post",
            workload=f"{name}; {NEARLY_FULL:,} likes and as many comments; {ROUNDS} rounds",
            ours=long,
            limit=short,
            against="on an empty post",
            unit="ms",
            target=8.0,
            higher_is_better=False,
        )
    worst, short = medians(ROUNDS, lambda: often(full), lambda: edit_ms(empty))
    yield Result(
        name="a command that writes a snapshot",
        workload=f"one edit in a hundred, of that post; {ROUNDS} rounds of {COMMANDS}",
        ours=worst,
        limit=short,
        against="an edit of an empty post",
        unit="ms",
        target=8.0,
        higher_is_better=False,
    )


def post_with(events: Events, count: int) -> UUID:
    """Stored in lots, through the repository, so that it has its snapshots."""
    from commands_app.handlers import posts
    from contracts.posts import PostCreated
    from messaging.eventstore.unit_of_work import unit_of_work
    from messaging.message import Context

    post_id = uuid4()
    todo = [PostCreated(post_id=post_id, author="author", message="first"), *events(post_id, count)]
    for start in range(0, len(todo), 500):
        part = todo[start : start + 500]
        with unit_of_work(Context(actor="author")) as uow:
            posts.save(uow, posts.load(uow, post_id), part)  # type: ignore[arg-type]
    return post_id


def edits(post_id: UUID, count: int) -> list[object]:
    from contracts.posts import MessageUpdated

    return [MessageUpdated(post_id=post_id, message=f"text {n} " * 10) for n in range(count)]


def likes(post_id: UUID, count: int) -> list[object]:
    from contracts.posts import PostLiked

    return [PostLiked(post_id=post_id, username=f"person{n}") for n in range(count)]


def comments(post_id: UUID, count: int) -> list[object]:
    from contracts.posts import CommentAdded

    text = "A comment of some length, as people write them. " * 2
    return [
        CommentAdded(post_id=post_id, comment_id=uuid4(), author=f"person{n}", text=text)
        for n in range(count)
    ]


def nothing(post_id: UUID, count: int) -> list[object]:
    return []


def likes_and_comments(post_id: UUID, count: int) -> list[object]:
    return [*likes(post_id, count), *comments(post_id, count)]


def like_and_unlike_ms(post_id: UUID) -> float:
    from commands_app.commands import LikePost, UnlikePost

    return each_ms([LikePost(post_id=post_id), UnlikePost(post_id=post_id)] * (COMMANDS // 2))


def comment_ms(post_id: UUID) -> float:
    """Comment, change it, and remove it."""
    from commands_app.commands import AddComment, EditComment, RemoveComment

    todo: list[object] = []
    for _ in range(COMMANDS // 3):
        comment = {"post_id": post_id, "comment_id": uuid4()}
        todo.append(AddComment(**comment, text="one"))
        todo.append(EditComment(**comment, text="two"))
        todo.append(RemoveComment(**comment))
    return each_ms(todo)


def each_ms(commands: list[object]) -> float:
    from messaging import mediator
    from messaging.message import Context

    author = Context(actor="author")
    begun = time.perf_counter()
    for command in commands:
        mediator.send(command, author)
    return (time.perf_counter() - begun) / len(commands) * 1_000


def edit_ms(post_id: UUID) -> float:
    from commands_app.commands import EditMessage

    texts = [f"edit {next(numbers)}" for _ in range(COMMANDS)]
    return each_ms([EditMessage(post_id=post_id, message=text) for text in texts])


ON_A_POST = {
    "edits": edit_ms,
    "likes and unlikes": like_and_unlike_ms,
    "comments, edits and removals of them": comment_ms,
}


def rare(post_id: UUID) -> float:
    """The same without snapshots, from the last one on."""
    return edit_ms_with_snapshots_every(10**9, post_id)


def often(post_id: UUID) -> float:
    """The same with a snapshot at each edit."""
    return edit_ms_with_snapshots_every(1, post_id)


def edit_ms_with_snapshots_every(events: int, post_id: UUID) -> float:
    from messaging.eventstore import repository

    every, repository.EVERY = repository.EVERY, events
    try:
        return edit_ms(post_id)
    finally:
        repository.EVERY = every
