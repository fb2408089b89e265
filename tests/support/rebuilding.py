"""Rebuilds in this process, and something else at one of their steps."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event as Flag
from uuid import uuid4

from commands_app.commands import (
    AddComment,
    DeletePost,
    EditComment,
    EditMessage,
    LikePost,
    NewPost,
    RemoveComment,
    UnlikePost,
)
from messaging import mediator
from messaging.bus import current_bus
from messaging.message import Context
from messaging.projections.models import Rebuild
from messaging.projections.registry import Projection
from messaging.rebuilding import requests
from messaging.rebuilding.worker import RebuildWorker
from queries_app.projections import posts
from queries_app.projections.history import history
from queries_app.projections.likes import likes
from queries_app.projections.people import people
from queries_app.projections.search import search
from tests.support.fold import (
    assert_histories_equal_the_fold,
    assert_likes_equal_the_fold,
    assert_people_equal_the_fold,
    assert_read_models_equal_the_fold,
    assert_words_equal_the_fold,
)

STEPS = ["asked", "filling", "all streams are built", "catching up", "caught up",
         "level with the live generation", "about to switch", "cleaning up",
         "cleaned up"]  # fmt: skip


def rebuild(projection: Projection, source: str, stop: Flag | None = None) -> Rebuild:
    """Ask for it, or go on with the one under way, until it has ended or `stop` is set."""
    found = requests.active(projection.name) or requests.ask(projection.name, source, "test")
    RebuildWorker(current_bus()).build(found, stop or Flag())
    found.refresh_from_db()
    return found


class _AtStep(logging.Handler):
    def __init__(self, step: str, work: Callable[[], None]) -> None:
        super().__init__(logging.INFO)
        self._step = step
        self._work = work
        self.reached = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self.reached and record.getMessage().endswith(f": {self._step}"):
            self.reached = True
            self._work()


@contextmanager
def at_step(step: str, work: Callable[[], None]) -> Iterator[_AtStep]:
    """Do the work when the builder comes to this step, for the first time."""
    logger = logging.getLogger("postlog.rebuild")
    handler = _AtStep(step, work)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def some_posts(count: int = 6) -> None:
    """Posts with all that can happen to one; the last is removed."""
    alice, bob = Context(actor="alice"), Context(actor="bob")
    for number in range(count):
        post_id = uuid4()
        mediator.send(NewPost(post_id=post_id, message=f"post {number}"), alice)
        mediator.send(LikePost(post_id=post_id), bob)
        mediator.send(EditMessage(post_id=post_id, message="tab\t, \\N and\nü"), alice)
        kept = mediator.send(AddComment(post_id=post_id, text="first"), bob).ids["comment_id"]
        gone = mediator.send(AddComment(post_id=post_id, text="second"), alice).ids["comment_id"]
        mediator.send(EditComment(post_id=post_id, comment_id=kept, text="changed"), bob)
        mediator.send(RemoveComment(post_id=post_id, comment_id=gone), alice)
        if number % 2:
            mediator.send(UnlikePost(post_id=post_id), bob)
    mediator.send(DeletePost(post_id=post_id), alice)


def assert_equals_the_fold(projection: Projection, generation: int) -> None:
    if projection is history:
        assert assert_histories_equal_the_fold(generation)
    elif projection is likes:
        assert assert_likes_equal_the_fold(generation)
    elif projection is people:
        assert assert_people_equal_the_fold(generation)
    elif projection is search:
        assert assert_words_equal_the_fold(generation)
    else:
        assert projection is posts
        assert assert_read_models_equal_the_fold(generation)
