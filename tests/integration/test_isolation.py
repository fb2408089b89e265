"""Commands whose database has another isolation level in its settings: a transaction that waited
for a lock does not see what was committed while it waited."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import IsolationLevel

from commands_app.commands import LikePost, NewPost
from contracts.posts import PostLiked
from messaging import mediator
from messaging.message import Context
from messaging.projections.registry import Applier
from messaging.testing import deliver_all, wait_until
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.consuming import Running
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.modes import Mode, use
from tests.support.one_database import make_inline, one_database, writers_lock_is_waited_for
from tests.support.rebuilding import at_step, rebuild, some_posts
from tests.support.threads import together

ALICE, CAROL = Context(actor="alice"), Context(actor="carol")


@pytest.fixture(params=["REPEATABLE_READ", "SERIALIZABLE"])
def strict(request: pytest.FixtureRequest, postgresql: Mode) -> Iterator[Mode]:
    """One database, which the settings of both sides reach with this level."""
    with one_database(), isolated(IsolationLevel[request.param]):
        yield postgresql


@contextmanager
def isolated(level: IsolationLevel) -> Iterator[None]:
    before = {alias: connections.settings[alias] for alias in ("default", "read")}
    use(
        {
            alias: {**config, "OPTIONS": {**config["OPTIONS"], "isolation_level": level}}
            for alias, config in before.items()
        }
    )
    try:
        yield
    finally:
        use(before)


@pytest.fixture
def inline(strict: Mode, monkeypatch: pytest.MonkeyPatch) -> Mode:
    make_inline(monkeypatch, posts)
    return strict


def like(post_id: Any) -> Thread:
    worker = Thread(
        target=together, args=(lambda: mediator.send(LikePost(post_id=post_id), CAROL),)
    )
    worker.start()
    return worker


def test_a_command_that_waited_for_a_switch_writes_to_the_new_generation(inline: Mode) -> None:
    some_posts()
    post_id = mediator.send(NewPost(message="liked"), ALICE).stream_id
    workers: list[Thread] = []

    def command() -> None:
        workers.append(like(post_id))
        wait_until(writers_lock_is_waited_for, "the command waits")

    with at_step("about to switch", command):
        assert rebuild(posts, "store").state == "done"
    workers[0].join()
    assert Post.objects.get(stream_id=post_id, generation=2).likes == 1
    assert assert_read_models_equal_the_fold(2) == 7


def test_a_switch_that_waited_for_a_command_has_its_rows(
    inline: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_posts()
    post_id = mediator.send(NewPost(message="liked"), ALICE).stream_id
    applied, old, workers = Flag(), posts.appliers[PostLiked], []

    def holds(post: Post, event: PostLiked, rows: Any) -> None:
        old.apply(post, event, rows)
        if event.username == "carol" and post.generation == 1:
            applied.set()
            wait_until(writers_lock_is_waited_for, "the switch waits")

    def command() -> None:
        workers.append(like(post_id))
        assert applied.wait(60)

    monkeypatch.setitem(posts.appliers, PostLiked, Applier(holds, old.row_keys))
    with at_step("caught up", command):
        assert rebuild(posts, "store").state == "done"
    workers[0].join()
    assert Post.objects.get(stream_id=post_id).likes == 1
    assert assert_read_models_equal_the_fold(2) == 7


def test_a_rebuild_beside_a_consumer_ends_and_misses_nothing(strict: Mode) -> None:
    some_posts()
    deliver_all()

    def more() -> None:
        mediator.send(NewPost(message="meanwhile"), ALICE)

    with Running(posts) as consumer:
        wait_until(consumer.owned, "it has the partitions")
        with at_step("caught up", more):
            assert rebuild(posts, "log").state == "done"
    deliver_all()
    assert assert_read_models_equal_the_fold(2) == 7
