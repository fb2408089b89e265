"""A rebuild while people write and read, whose builder is killed at every step."""

import signal
import sys
from collections.abc import Callable
from threading import Event as Flag
from threading import Lock
from uuid import UUID, uuid4

import pytest

from commands_app.commands import AddComment, EditMessage, LikePost, NewPost
from messaging import mediator
from messaging.exceptions import ReadSideBehind
from messaging.message import Context, Position
from messaging.monitoring.status import current_status
from messaging.projections.consuming import checkpoints
from messaging.projections.models import DeadLetter, Rebuild
from messaging.testing.waiting import wait_until
from queries_app.queries import FindPostById
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.modes import Mode
from tests.support.processes import Worker
from tests.support.rebuilding import STEPS
from tests.support.threads import together

WRITERS = 4
POSTS = 40


class Board:
    """What was written: a post's last version and text, known before and after the reader looks."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last: dict[UUID, tuple[int, str]] = {}

    def note(self, post_id: UUID, version: int, text: str) -> None:
        with self._lock:
            self._last[post_id] = (version, text)

    def all(self) -> dict[UUID, tuple[int, str]]:
        with self._lock:
            return dict(self._last)


def write(number: int, board: Board, stop: Flag) -> int:
    """Constantly, on posts of its own, until told to stop; how many commands that were."""
    me = Context(actor=f"writer{number}")
    mine = [uuid4() for _ in range(POSTS // WRITERS)]
    sent = 0
    while not stop.is_set():
        post_id = mine[sent % len(mine)]
        if sent < len(mine):
            text = "first"
            result = mediator.send(NewPost(post_id=post_id, message=text), me)
        else:
            text = f"text {sent}"
            mediator.send(LikePost(post_id=post_id), Context(actor=f"reader-{sent}"))
            mediator.send(AddComment(post_id=post_id, text=text), me)
            result = mediator.send(EditMessage(post_id=post_id, message=text), me)
        board.note(post_id, result.version, text)
        sent += 1
        stop.wait(0.1)
    return sent


def read(board: Board, stop: Flag) -> int:
    """Every post by its token, again and again. Any stale answer fails; how many were read."""
    seen: dict[UUID, int] = {}
    reads = 0
    while not stop.is_set():
        for post_id, (version, text) in board.all().items():
            try:
                shown = [Position("post", post_id, version)]
                post = mediator.ask(FindPostById(post_id=post_id), shown)
            except ReadSideBehind:
                continue  # late is allowed, and said; missing and stale are not
            assert post.version >= max(version, seen.get(post_id, 0)), "it went back"
            if post.version == version:
                assert post.message == text
            assert post.likes - post.comments_count in (0, 1), "half an answer"
            seen[post_id] = post.version
            reads += 1
        stop.wait(0.05)  # leaves the CPU to those that it watches
    return reads


@pytest.mark.parametrize("source", ["log", "store"])
def test_readers_notice_nothing_of_a_rebuild_whose_builder_is_killed_at_every_step(
    mode: Mode, source: str
) -> None:
    board, stop = Board(), Flag()
    with Worker(mode.env, program=[sys.executable, "-m", "tests.support.serving"]) as live:

        def until_rebuilt() -> int:
            try:
                wait_until(lambda: len(board.all()) == POSTS, "all posts are written")
                return rebuild_dying_at_every_step(mode, source)
            finally:
                stop.set()

        works: list[Callable[[], int]] = [
            *(lambda n=n: write(n, board, stop) for n in range(WRITERS)),  # type: ignore[misc]
            lambda: read(board, stop),
            until_rebuilt,
        ]
        *written, reads, died = together(*works)
        for result in (*written, reads, died):
            assert isinstance(result, int), repr(result)
        wait_until(drained, "all is consumed", 60)
        assert live.stop() == 0
    assert reads > POSTS
    done = Rebuild.objects.get()
    assert done.state == "done"
    assert checkpoints.live_generation("posts") == done.generation
    assert not DeadLetter.objects.exists()
    assert assert_read_models_equal_the_fold(done.generation) == POSTS


def rebuild_dying_at_every_step(mode: Mode, source: str) -> int:
    steps = [s for s in STEPS if source == "store" or s not in ("filling", "all streams are built")]
    program = [sys.executable, "-m", "tests.support.dying_rebuild", source]
    with Worker(mode.env, *steps, "never", program=program) as builder:
        assert builder.wait(240) == 0, builder.output()
        *codes, last = map(int, builder.output().splitlines()[-1].split())
        assert (codes, last) == ([-signal.SIGKILL] * len(steps), 0), builder.output()
    return len(steps)


def drained() -> bool:
    found = current_status()
    return found.outbox == 0 and found.lag == 0
