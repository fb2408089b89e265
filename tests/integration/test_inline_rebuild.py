"""Inline projections: rebuilt while commands go on, and changed from consumers to commands and
back."""

from collections.abc import Iterator
from threading import Event as Flag
from threading import Thread
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import OperationalError, connections, transaction

from commands_app.commands import LikePost, NewPost
from contracts.posts import PostLiked
from messaging import mediator
from messaging.bus import current_bus
from messaging.checks import inline_projections_are_built
from messaging.eventstore.models import Event, Stream
from messaging.message import Context
from messaging.monitoring.status import projection_status
from messaging.projections import writers
from messaging.projections.consuming import checkpoints
from messaging.projections.models import (
    Checkpoint,
    DeadLetter,
    Discarded,
    ProjectionState,
    Rebuild,
)
from messaging.projections.registry import Applier
from messaging.rebuilding import from_store, inline_builder, requests
from messaging.rebuilding.migration_operation import AskForRebuild
from messaging.rebuilding.worker import RebuildWorker
from messaging.testing import deliver_all, publish_all, wait_until
from queries_app.models import Post
from queries_app.projections import posts
from queries_app.projections.history import history
from queries_app.projections.likes import likes
from tests.support.consuming import Running, consume_all
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.losing import wipe_store
from tests.support.modes import Mode
from tests.support.one_database import make_inline, one_database, writers_lock_is_waited_for
from tests.support.processes import here
from tests.support.rebuilding import assert_equals_the_fold, at_step, rebuild, some_posts
from tests.support.threads import together

ALICE = Context(actor="alice")
STEPS = ["filling", "all streams are built", "catching up", "caught up"]


@pytest.fixture
def one(database: Mode) -> Iterator[Mode]:
    """One database, and nothing is inline yet."""
    with one_database():
        yield database


@pytest.fixture
def both(one: Mode, monkeypatch: pytest.MonkeyPatch) -> Mode:
    make_inline(monkeypatch, posts, history)
    return one


def more() -> None:
    """Later events of streams that are there, and new ones."""
    removed = Event.objects.filter(type="posts.post_removed.v1").values("stream_id")
    there = Stream.objects.exclude(pk__in=removed).order_by("pk").values_list("pk", flat=True)
    for post_id in there[:2]:
        mediator.send(LikePost(post_id=post_id), Context(actor=f"person{Event.objects.count()}"))
    mediator.send(NewPost(message="meanwhile"), ALICE)


@pytest.mark.parametrize("step", STEPS)
def test_commands_go_on_during_a_rebuild_and_none_of_their_events_is_lost(
    both: Mode, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_store, "CHUNK", 3)
    monkeypatch.setattr(inline_builder, "STREAMS", 2)
    some_posts()
    Post.objects.update(message="not what the events say")
    with at_step(step, more) as hook:
        done = rebuild(posts, "store")
    assert hook.reached
    assert (done.state, done.error) == ("done", "")
    assert checkpoints.live_generation("posts") == done.generation == 2
    more()
    assert assert_read_models_equal_the_fold(2) == 8
    assert not Post.objects.exclude(generation=2).exists()
    assert not Checkpoint.objects.filter(projection="posts").exists()
    assert not DeadLetter.objects.exists()


def test_events_between_two_chunks_of_a_rebuild_are_applied_once(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_store, "CHUNK", 3)
    some_posts()
    note = from_store.note_progress
    workers: list[Thread] = []

    def meanwhile(*args: Any) -> None:
        note(*args)
        if len(workers) < 3:
            workers.append(Thread(target=together, args=(more,)))
            workers[-1].start()
            if connections["default"].vendor == "postgresql":  # SQLite has one writer
                workers[-1].join()

    monkeypatch.setattr(from_store, "note_progress", meanwhile)
    assert rebuild(posts, "store").state == "done"
    for worker in workers:
        worker.join()
    assert assert_read_models_equal_the_fold(2) == 9


def test_a_command_waits_for_the_switch_and_writes_to_the_new_generation(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_posts()
    workers: list[Thread] = []

    def command() -> None:
        workers.append(Thread(target=together, args=(more,)))
        workers[0].start()
        if connections["default"].vendor == "postgresql":  # SQLite has one writer
            wait_until(writers_lock_is_waited_for, "the command waits")

    with at_step("about to switch", command) as hook:
        assert rebuild(posts, "store").state == "done"
    assert hook.reached
    workers[0].join()
    assert assert_read_models_equal_the_fold(2) == 7
    assert not Post.objects.exclude(generation=2).exists()


def test_the_switch_waits_for_a_command_that_has_written_rows(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with one_database():
        make_inline(monkeypatch, posts)
        some_posts()
        post_id = mediator.send(NewPost(message="liked"), ALICE).stream_id
        applied = Flag()
        old = posts.appliers[PostLiked]

        def holds(post: Post, event: PostLiked, rows: Any) -> None:
            old.apply(post, event, rows)
            if event.username == "carol" and post.generation == 1:
                applied.set()
                wait_until(writers_lock_is_waited_for, "the switch waits")

        monkeypatch.setitem(posts.appliers, PostLiked, Applier(holds, old.row_keys))
        worker = Thread(
            target=together,
            args=(lambda: mediator.send(LikePost(post_id=post_id), Context(actor="carol")),),
        )

        def command() -> None:
            worker.start()
            assert applied.wait(60)

        with at_step("caught up", command) as hook:
            assert rebuild(posts, "store").state == "done"
        assert hook.reached
        worker.join()
        assert assert_read_models_equal_the_fold(2) == 7
        assert Post.objects.get(stream_id=post_id).likes == 1


def test_most_is_applied_before_commands_have_to_wait(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inline_builder, "STREAMS", 2)
    some_posts()
    hold, left = writers.hold, []

    def take_over() -> None:
        with transaction.atomic():
            Rebuild.objects.select_for_update(nowait=True).get()

    def counted(name: str, *, alone: bool) -> None:
        if alone:
            roots = Post.objects.filter(generation=2).values_list("stream_id", "version")
            left.append(set(Stream.objects.values_list("stream_id", "version")) - set(roots))
            if connections["default"].vendor == "postgresql":  # a take-over waits until the end
                (error,) = together(take_over)
                assert isinstance(error, OperationalError)
        hold(name, alone=alone)

    with at_step("all streams are built", more):
        monkeypatch.setattr(inline_builder.writers, "hold", counted)
        assert rebuild(posts, "store").state == "done"
    assert len(left[0]) == 1, "of the three that had changed"
    assert assert_read_models_equal_the_fold(2) == 7


def test_a_rebuild_that_was_broken_off_goes_on(both: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inline_builder, "STREAMS", 1)
    some_posts()
    stop = Flag()

    def break_off() -> None:
        more()
        stop.set()

    with at_step("catching up", break_off):
        broken = rebuild(posts, "store", stop)
    assert broken.state == "catching up"
    assert not Post.objects.filter(generation=2, message="meanwhile").exists()
    more()
    done = rebuild(posts, "store")
    assert (done.id, done.state) == (broken.id, "done")
    assert assert_read_models_equal_the_fold(2) == 8


def test_a_builder_that_was_replaced_writes_no_more(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inline_builder, "STREAMS", 1)
    some_posts()

    def replace() -> None:
        more()
        Rebuild.objects.update(builder=uuid4())

    with at_step("catching up", replace):
        (rebuilt,) = together(lambda: _one_builder(Flag()))
    assert rebuilt == "catching up"
    assert not Post.objects.filter(generation=2, message="meanwhile").exists()
    assert rebuild(posts, "store").state == "done"
    assert assert_read_models_equal_the_fold(2) == 7


def _one_builder(stop: Flag) -> str:
    """The state of the rebuild when the first builder has ended."""
    requests.ask("posts", "store", "test")
    RebuildWorker(current_bus()).run_once(stop)
    return Rebuild.objects.get().state


def test_a_rebuild_notes_the_version_of_the_code_and_refuses_to_go_back(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posts, "version", 2)
    some_posts()
    ProjectionState.objects.update(code_version=1)
    Post.objects.filter(pk=Post.objects.first().pk).update(version=99)
    failed = rebuild(posts, "store")
    assert failed.state == "failed"
    assert "Readers have seen version 99" in failed.error
    requests.ask("posts", "store", "test", accept_regression=True)
    assert rebuild(posts, "store").state == "done"
    assert ProjectionState.objects.get(name="posts").code_version == 2
    assert assert_read_models_equal_the_fold(3) == 6


def test_from_the_log_it_is_refused_and_says_why(both: Mode) -> None:
    some_posts(1)
    with pytest.raises(requests.NeedsStore, match=r"posts is inline.*--from store"):
        requests.ask("posts", "log", "test")
    done = here("rebuild", "posts", "--from", "log")
    assert done.returncode == 1
    assert "commands write its rows before their events are in the log" in done.stderr
    assert "posts: generation 2 is live" in here("rebuild", "posts").stdout
    assert Rebuild.objects.get().source == "store"
    assert requests.best_source("likes") == "log"
    with connections["default"].schema_editor() as editor:
        AskForRebuild("history").database_forwards(
            "queries_app", editor, None, SimpleNamespace(apps=apps)
        )
    assert Rebuild.objects.get(projection="history").source == "store"


def cannot(post: Post, *_: object) -> None:
    raise LookupError


def test_an_event_that_cannot_be_applied_ends_the_rebuild_and_readers_stay(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_posts()
    with monkeypatch.context() as broken:
        old = posts.appliers[PostLiked]
        broken.setitem(posts.appliers, PostLiked, Applier(cannot, old.row_keys))
        failed = rebuild(posts, "store")
    assert failed.state == "failed"
    assert "have to be whole" in failed.error
    assert checkpoints.live_generation("posts") == 1
    assert not DeadLetter.objects.exists()
    assert assert_read_models_equal_the_fold(1) == 6
    assert rebuild(posts, "store").state == "done"


def test_an_inline_projection_that_is_new_to_a_store_waits_for_its_rebuild(
    one: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_posts()
    make_inline(monkeypatch, posts)
    assert projection_status("posts", None).state == "not built"
    (warning,) = inline_projections_are_built()
    assert (warning.id, warning.hint.split("run ")[1]) == (
        "postlog.W005",
        "`manage.py rebuild posts`.",
    )
    more()
    assert not Post.objects.exists(), "some rows without the others would pass for all"
    assert "nobody writes its rows" in here("status").stdout
    assert rebuild(posts, "store").state == "done"
    more()
    assert assert_read_models_equal_the_fold(2) == 8
    assert projection_status("posts", None).state == "inline"
    assert inline_projections_are_built() == []


def test_from_consumers_to_commands_and_back_again_nothing_is_lost(
    one: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_posts()
    deliver_all()
    with Running(posts) as older:
        wait_until(older.owned, "a consumer of older code has the partitions")
        with monkeypatch.context() as newer:
            newer.setattr(posts, "inline", True)
            more()  # left alone: that consumer may be at work on these rows
            assert [warning.id for warning in inline_projections_are_built()] == ["postlog.W005"]
            fenced: list[bool] = []
            of_posts = Checkpoint.objects.filter(projection="posts")
            with at_step("cleaning up", lambda: fenced.append(not of_posts.exists())):
                assert rebuild(posts, "store").state == "done"
            assert fenced == [True]
            assert assert_read_models_equal_the_fold(2) == 7
            more()
            assert assert_read_models_equal_the_fold(2) == 8
            publish_all()
        refused = lambda: "commands write the rows of posts" in older.last_error  # noqa: E731
        wait_until(refused, "the consumer of older code is refused")
        assert not Checkpoint.objects.filter(projection="posts").exists()
    more()  # by newer code again, in which a consumer fills the rows
    deliver_all()
    assert assert_read_models_equal_the_fold(2) == 9
    assert ProjectionState.objects.get(name="posts").inline is False
    with monkeypatch.context() as older_web:
        older_web.setattr(posts, "inline", True)
        more()
    assert Post.objects.count() == 9, "a process of the former code leaves them to consumers"
    deliver_all()
    assert assert_read_models_equal_the_fold(2) == 10
    assert rebuild(posts, "log").state == "done"
    assert assert_read_models_equal_the_fold(3) == 10


def test_asking_for_a_rebuild_takes_rows_over_from_commands(
    one: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(likes, "inline", True)
        some_posts()
    publish_all()
    assert ProjectionState.objects.get(name="likes").inline is True
    assert rebuild(likes, "log").state == "done"
    assert ProjectionState.objects.get(name="likes").inline is False
    assert_equals_the_fold(likes, 2)


def test_a_consumer_waits_for_commands_that_are_writing_before_it_takes_over(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with one_database():
        make_inline(monkeypatch, posts)
        post_id = mediator.send(NewPost(message="liked"), ALICE).stream_id
        applied = Flag()
        old = posts.appliers[PostLiked]

        def holds(post: Post, event: PostLiked, rows: Any) -> None:
            old.apply(post, event, rows)
            if not applied.is_set():
                applied.set()
                wait_until(writers_lock_is_waited_for, "the consumer waits")

        def consumer() -> None:
            assert applied.wait(60)
            monkeypatch.setattr(posts, "inline", False)
            deliver_all()

        monkeypatch.setitem(posts.appliers, PostLiked, Applier(holds, old.row_keys))
        liked = lambda: mediator.send(LikePost(post_id=post_id), ALICE)  # noqa: E731
        results = together(liked, consumer)
        assert [one for one in results if isinstance(one, Exception)] == []
        deliver_all()
        assert assert_read_models_equal_the_fold() == 1


def test_rows_that_a_consumer_has_begun_with_are_not_for_commands(
    one: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_all()  # of nothing
    make_inline(monkeypatch, posts)
    some_posts(1)
    assert not Post.objects.exists(), "that consumer may be at work"
    assert [warning.id for warning in inline_projections_are_built()] == ["postlog.W005"]


def test_an_event_that_is_discarded_during_a_rebuild_is_passed_over(
    one: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_posts(2)
    make_inline(monkeypatch, posts)

    def discard() -> None:
        more()
        event = Event.objects.order_by("-position")[1]
        assert event.type == "posts.post_liked.v1"
        Discarded.objects.create(
            projection="posts", event_id=event.event_id, stream_id=event.stream_id,
            version=event.version,
        )  # fmt: skip
        found.append(event)

    found: list[Event] = []
    with at_step("all streams are built", discard):
        assert rebuild(posts, "store").state == "done"
    post = Post.objects.get(stream_id=found[0].stream_id)
    likes = Event.objects.filter(stream_id=post.stream_id, type="posts.post_liked.v1").count()
    assert (post.version, post.likes) == (found[0].version, likes - 1)


def test_verify_compares_the_rows_with_the_store(both: Mode) -> None:
    some_posts()
    deliver_all()
    done = here("verify", "--patience", "0")
    assert (done.returncode, done.stdout) == (0, "No difference.\n")
    Post.objects.filter(likes=1, visible=True).update(likes=7)
    found = here("verify", "--patience", "0").stdout
    assert "posts: Post of stream" in found
    assert "likes is 7 instead of 1" in found


def test_verify_says_how_to_bring_level_what_is_not(
    both: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_posts(2)
    with monkeypatch.context() as older:
        older.setattr(posts, "inline", False)
        more()
    publish_all()
    consume_all(likes)
    found = here("verify", "--patience", "0").stdout
    assert "no command applied it. Run `manage.py rebuild posts`" in found


def test_restored_events_are_applied_as_they_are_appended(both: Mode) -> None:
    some_posts()
    publish_all()
    rows = sorted(Post.objects.values_list("stream_id", "version", "message", "likes"))
    wipe_store()
    for model in (*posts.models, *history.models):
        model._default_manager.all().delete()
    ProjectionState.objects.all().delete()
    done = here("restore-events")
    assert done.returncode == 0, done.stderr
    assert sorted(Post.objects.values_list("stream_id", "version", "message", "likes")) == rows
    assert assert_read_models_equal_the_fold() == 6
