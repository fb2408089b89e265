"""Rolling deployments: migrated tables and newer events meet processes with the older code."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event as Flag
from threading import Thread
from uuid import UUID

from django.db import connections, models

from commands_app.commands import NewPost
from messaging import mediator
from messaging.bus import current_bus
from messaging.eventstore.unit_of_work import unit_of_work
from messaging.message import Context
from messaging.projections.consuming.consumer import Consumer
from messaging.projections.models import DeadLetter
from messaging.projections.registry import PROJECTIONS
from messaging.testing import registered
from messaging.testing.waiting import wait_until
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.newer_fields import add_column, added_field
from tests.support.processes import Worker
from tests.support.relaying import publish_all

ALICE = Context(actor="alice")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPinned:
    post_id: UUID


def some_posts(count: int) -> None:
    for _ in range(count):
        mediator.send(NewPost(message="Hi"), ALICE)


def pin(post_id: UUID) -> None:
    with unit_of_work(ALICE) as uow:
        uow.append("post", post_id, 1, [PostPinned(post_id=post_id)])


@contextmanager
def consumers_with_this_code() -> Iterator[None]:
    stop = Flag()

    def consume(consumer: Consumer) -> None:
        try:
            consumer.run(stop)
        finally:
            connections.close_all()

    consumers = [Consumer(projection, current_bus()) for projection in PROJECTIONS.values()]
    threads = [Thread(target=consume, args=(consumer,)) for consumer in consumers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_column_without_default_stops_old_consumers_and_parks_nothing(mode: Mode) -> None:
    with Worker(mode.env, "runconsumer") as old:
        some_posts(1)
        wait_until(lambda: Post.objects.count() == 1, "the old code consumes", 60)
        with added_field(Post, "pinned", models.BooleanField(default=False)) as field:
            add_column(Post, field)
            some_posts(30)
            assert old.wait() == 1
            assert "queries_app_post.pinned" in old.output()
            assert "Start a consumer with the newer code" in old.output()
            publish_all()
            assert DeadLetter.objects.count() == 0
            consume_all(posts)
            assert Post.objects.filter(pinned=False).count() == 31
            assert DeadLetter.objects.count() == 0


def test_a_column_with_a_default_in_the_database_stops_nobody(mode: Mode) -> None:
    with Worker(mode.env, "runconsumer") as old:
        some_posts(1)
        wait_until(lambda: Post.objects.count() == 1, "the old code consumes", 60)
        flag = models.BooleanField(default=False, db_default=False)
        with added_field(Post, "pinned", flag) as field:
            add_column(Post, field)
            some_posts(30)
            wait_until(lambda: Post.objects.count() == 31, "it goes on", 60)
            assert DeadLetter.objects.count() == 0
        assert old.stop() == 0


def test_newer_events_wait_and_newer_consumers_drain_them_by_themselves(mode: Mode) -> None:
    post_id = mediator.send(NewPost(message="Hi"), ALICE).stream_id
    with (
        Worker(mode.env, "runconsumer") as old,
        registered("posts.post_pinned.v1", PostPinned, stream="post"),
    ):
        pin(post_id)
        waiting = DeadLetter.objects.filter(code="waits for newer code")
        wait_until(lambda: waiting.count() == len(PROJECTIONS), "all projections wait", 60)
        with consumers_with_this_code():
            assert old.stop() == 0
            some_posts(1)
            publish_all()
            wait_until(lambda: DeadLetter.objects.count() == 0, "they drain", 60)
            wait_until(lambda: Post.objects.filter(version=1).exists(), "and go on", 60)
    assert Post.objects.get(stream_id=post_id).version == 2
