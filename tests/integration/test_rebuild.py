"""A new generation is built beside the live one, and readers are switched at once."""

from threading import Event as Flag
from threading import Thread
from uuid import uuid4

import pytest
from django.db import InterfaceError, OperationalError, connections

from commands_app.commands import EditMessage, LikePost, NewPost
from contracts.posts import CommentUpdated, MessageUpdated, PostCreated, PostLiked
from messaging import mediator
from messaging.bus import current_bus
from messaging.bus.base import LogRecord
from messaging.exceptions import BusError, FencedOff, StreamBusy
from messaging.message import Context
from messaging.projections.consuming import checkpoints
from messaging.projections.models import Checkpoint, DeadLetter, Discarded, Rebuild
from messaging.projections.registry import PROJECTIONS, Applier
from messaging.projections.serving.live import live
from messaging.rebuilding import from_log, from_store, requests, worker
from queries_app.models import HistoryEntry, Post
from queries_app.projections import posts
from tests.support.consuming import consume_all, take
from tests.support.modes import Mode
from tests.support.processes import manage
from tests.support.rebuilding import STEPS, assert_equals_the_fold, at_step, rebuild, some_posts
from tests.support.records import publish, record_of
from tests.support.relaying import publish_all

ALICE = Context(actor="alice")
SOURCES = pytest.mark.parametrize("source", ["log", "store"])


def all_consumed(count: int = 6) -> None:
    some_posts(count)
    publish_all()
    for projection in PROJECTIONS.values():
        consume_all(projection)


@SOURCES
def test_a_rebuilt_generation_equals_the_fold_and_the_old_one_is_gone(
    mode: Mode, source: str
) -> None:
    all_consumed()
    Post.objects.update(message="not what the events say")
    HistoryEntry.objects.update(new_text="nor this")
    for projection in PROJECTIONS.values():
        done = rebuild(projection, source)
        assert (done.state, done.error) == ("done", "")
        assert done.events_done == done.events_total
        assert checkpoints.live_generation(projection.name) == done.generation == 2
        assert_equals_the_fold(projection, generation=2)
        for model in projection.models:
            assert not model._default_manager.exclude(generation=2).exists()
        generations = Checkpoint.objects.filter(projection=projection.name)
        assert set(generations.values_list("generation", flat=True)) == {2}
        mediator.send(NewPost(message="afterwards"), ALICE)
        publish_all()
        consume_all(projection)
        assert_equals_the_fold(projection, generation=2)


@SOURCES
@pytest.mark.parametrize("step", STEPS[:-3])
def test_readers_see_the_old_generation_until_the_switch(
    sqlite: Mode, source: str, step: str
) -> None:
    if source == "log" and step in ("filling", "all streams are built"):
        return
    all_consumed()
    Post.objects.filter(comments_count=1).update(message="as it was")
    seen = list(live(posts, Post).order_by("stream_id").values_list("message", flat=True))
    found = []

    def look() -> None:
        found.append(
            list(live(posts, Post).order_by("stream_id").values_list("message", flat=True))
        )

    with at_step(step, look) as hook:
        assert rebuild(posts, source).state == "done"
    assert hook.reached
    assert found == [seen]
    assert seen != list(live(posts, Post).order_by("stream_id").values_list("message", flat=True))


@SOURCES
@pytest.mark.parametrize("step", STEPS)
def test_a_rebuild_that_was_broken_off_at_any_step_goes_on(
    database: Mode, source: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == "log" and step in ("filling", "all streams are built"):
        return
    monkeypatch.setattr(from_store, "CHUNK", 3)
    monkeypatch.setattr(from_log, "BATCH", 3)
    all_consumed()
    stop = Flag()

    def break_off() -> None:
        stop.set()
        raise OperationalError("the power went")

    with at_step(step, break_off) as hook:
        broken = rebuild(posts, source, stop)
    assert hook.reached
    assert broken.state not in Rebuild.ENDED
    mediator.send(NewPost(message="meanwhile"), ALICE)
    publish_all()
    consume_all()  # the live generation, whichever it is
    done = rebuild(posts, source)
    assert (done.id, done.state) == (broken.id, "done")
    assert_equals_the_fold(posts, done.generation)
    assert not Post.objects.exclude(generation=done.generation).exists()


def test_from_the_store_it_goes_on_behind_the_streams_that_are_built(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_store, "CHUNK", 3)
    all_consumed(10)
    begun = []
    folded = from_store._fold

    def fold(projection, generation, chunk, **kwargs):
        begun.append(chunk[0].envelope.stream_id)
        if len(begun) == 5:
            stop.set()
        return folded(projection, generation, chunk, **kwargs)

    monkeypatch.setattr(from_store, "_fold", fold)
    stop = Flag()
    rebuild(posts, "store", stop)
    assert len(begun) == 5
    stop.clear()
    done = rebuild(posts, "store")
    assert begun == sorted(set(begun)), "no stream is built twice"
    assert done.events_done == done.events_total
    assert_equals_the_fold(posts, 2)


@pytest.mark.parametrize("longest", [4, 100])
def test_a_stream_longer_than_a_chunk_is_built_in_parts(
    database: Mode, longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_store, "CHUNK", 3)
    monkeypatch.setattr(from_store, "MAX_CHUNK", longest)
    all_consumed()
    for projection in PROJECTIONS.values():
        assert rebuild(projection, "store").state == "done"
        assert_equals_the_fold(projection, 2)


@SOURCES
def test_what_is_written_during_a_rebuild_is_in_it(mode: Mode, source: str) -> None:
    all_consumed()
    first = Post.objects.filter(comments_count=1).first()

    def write() -> None:
        mediator.send(NewPost(message="meanwhile"), ALICE)
        mediator.send(EditMessage(post_id=first.stream_id, message="meanwhile"), ALICE)
        publish_all()
        consume_all()

    with at_step("catching up" if source == "log" else "filling", write):
        assert rebuild(posts, source).state == "done"
    assert_equals_the_fold(posts, 2)


def old_batch() -> dict[int, list[LogRecord]]:
    """What the live generation, the first, has not taken yet."""
    bus = current_bus()
    ends = bus.end_offsets()
    at = checkpoints.offsets("posts", 1, ends)
    return {
        partition: [one for part in bus.read(partition, at[partition], end) for one in part]
        for partition, end in ends.items()
        if end > at[partition]
    }


@SOURCES
def test_a_consumer_of_the_old_generation_finds_that_its_time_is_over(
    database: Mode, source: str
) -> None:
    all_consumed()
    mediator.send(NewPost(message="for the old one"), ALICE)
    publish_all()
    batch = old_batch()
    seen: list[str] = []

    def consume_for_the_old_one() -> None:
        with pytest.raises(FencedOff):
            take(batch)
        seen.append("refused")

    with at_step("cleaning up", consume_for_the_old_one):
        assert rebuild(posts, source).state == "done"
    assert seen == ["refused"]
    assert not Post.objects.filter(generation=1).exists()


def test_while_readers_are_led_over_the_live_consumer_waits(postgresql: Mode) -> None:
    """Else it could show a version that the new generation does not have."""
    all_consumed()
    mediator.send(NewPost(message="shown by nobody yet"), ALICE)
    publish_all()
    batch = old_batch()
    outcomes: list[object] = []

    def consume() -> None:
        try:
            outcomes.append(take(batch))
        except FencedOff as error:
            outcomes.append(error)
        finally:
            connections.close_all()

    consumer = Thread(target=consume)

    def begin_to_consume() -> None:
        consumer.start()
        consumer.join(0.5)
        assert consumer.is_alive(), "it waits"

    with at_step("level with the live generation", begin_to_consume) as step:
        assert rebuild(posts, "log").state == "done"
    consumer.join(30)
    assert step.reached
    assert isinstance(outcomes[0], FencedOff)


def test_a_cancelled_rebuild_leaves_nothing_and_another_may_be_asked_for(database: Mode) -> None:
    all_consumed()
    with at_step("caught up", lambda: requests.cancel("posts") and None):
        cancelled = rebuild(posts, "log")
    assert cancelled.state == "cancelled"
    assert checkpoints.live_generation("posts") == 1
    assert not Post.objects.filter(generation=2).exists()
    assert not Checkpoint.objects.filter(projection="posts", generation=2).exists()
    assert_equals_the_fold(posts, 1)
    assert rebuild(posts, "log").generation == 3
    assert_equals_the_fold(posts, 3)


def test_a_second_rebuild_is_refused_and_told_how_far_the_first_is(database: Mode) -> None:
    all_consumed()
    requests.ask("posts", "log", "alice")
    with pytest.raises(requests.UnderWay, match="from the log, asked"):
        requests.ask("posts", "store", "bob")
    assert requests.ask("history", "log", "bob").state == "asked", "of another projection it may be"


def test_a_builder_whose_rebuild_was_taken_over_writes_nothing(database: Mode) -> None:
    all_consumed()

    def take_over() -> None:
        Rebuild.objects.update(builder=uuid4())

    with at_step("filling", take_over):
        stop = Flag()
        found = requests.ask("posts", "store", "test")
        from messaging.rebuilding.builder import Builder

        Builder(found, current_bus(), lambda: True).run(stop)
    assert not Post.objects.filter(generation=2).exists()
    found.refresh_from_db()
    assert (found.state, found.events_done) == ("filling", 0)


@SOURCES
def test_no_reader_goes_back_to_an_earlier_version(database: Mode, source: str) -> None:
    """The functions changed, and one of them fails on what it took before."""
    all_consumed()
    sound = posts.appliers[MessageUpdated]

    def fails(*args: object) -> None:
        raise ValueError("new code, new mistake")

    posts.appliers[MessageUpdated] = Applier(fails, sound.row_keys)
    try:
        failed = rebuild(posts, source)
    finally:
        posts.appliers[MessageUpdated] = sound
    assert failed.state == "failed"
    assert "Readers have seen version" in failed.error
    assert "new code, new mistake" in failed.error
    assert checkpoints.live_generation("posts") == 1
    assert_equals_the_fold(posts, 1)
    assert not Post.objects.filter(generation=2).exists()
    assert not DeadLetter.objects.exists()


@SOURCES
def test_a_rebuild_with_mended_code_brings_what_was_parked(database: Mode, source: str) -> None:
    sound = posts.appliers[PostLiked]

    def fails(*args: object) -> None:
        raise ValueError("a mistake")

    posts.appliers[PostLiked] = Applier(fails, sound.row_keys)
    try:
        all_consumed()
    finally:
        posts.appliers[PostLiked] = sound
    assert DeadLetter.objects.filter(generation=1, projection="posts").exists()
    assert rebuild(posts, source).state == "done"
    assert_equals_the_fold(posts, 2)
    assert not DeadLetter.objects.exists()


@SOURCES
def test_a_server_that_is_away_is_no_fault_of_an_event(
    database: Mode, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    all_consumed()
    monkeypatch.setattr(worker, "BACKOFF_S", 0)
    sound = posts.appliers[PostLiked]
    failures = iter([BusError("away"), InterfaceError("away"), StreamBusy("away")])

    def asks_a_server(*args: object) -> None:
        for error in failures:
            raise error
        sound.apply(*args)

    monkeypatch.setitem(posts.appliers, PostLiked, Applier(asks_a_server, sound.row_keys))
    assert rebuild(posts, source).state == "done"
    assert not list(failures), "all of them were raised"
    assert_equals_the_fold(posts, 2)
    assert not DeadLetter.objects.exists()


def poisoned(stream_id, version):
    return record_of(
        stream_id, version, CommentUpdated(post_id=stream_id, comment_id=uuid4(), text="?")
    )


def test_a_bad_event_is_parked_in_the_new_generation_too(database: Mode) -> None:
    bad, good = uuid4(), uuid4()
    for stream_id in (bad, good):
        publish(
            record_of(stream_id, 1, PostCreated(post_id=stream_id, author="alice", message="a"))
        )
    publish(poisoned(bad, 2), record_of(good, 2, PostLiked(post_id=good, username="bob")))
    consume_all()
    assert rebuild(posts, "log").state == "done"
    assert dict(Post.objects.values_list("stream_id", "version")) == {bad: 1, good: 2}
    dead_letter = DeadLetter.objects.get()
    assert (dead_letter.generation, dead_letter.version, dead_letter.code) == (2, 2, "poison")


def test_an_event_that_was_given_up_is_passed_over(database: Mode) -> None:
    stream_id = uuid4()
    publish(record_of(stream_id, 1, PostCreated(post_id=stream_id, author="alice", message="a")))
    publish(poisoned(stream_id, 2))
    publish(record_of(stream_id, 3, PostLiked(post_id=stream_id, username="bob")))
    consume_all()
    dead_letter = DeadLetter.objects.get(version=2)
    Discarded.objects.create(
        projection="posts", event_id=dead_letter.event_id, stream_id=stream_id, version=2
    )
    assert rebuild(posts, "log").state == "done"
    assert not DeadLetter.objects.exists()
    assert Post.objects.values_list("version", "likes").get() == (3, 1)


def test_the_command_rebuilds_all_and_tells_what_it_did(database: Mode) -> None:
    all_consumed()
    done = manage(database.env, "rebuild", "--from", "store")
    assert done.returncode == 0, done.stderr
    assert "posts: generation 2 is live" in done.stdout
    assert "history: generation 2 is live" in done.stdout
    assert_equals_the_fold(posts, 2)
    nothing = manage(database.env, "rebuild", "posts", "--cancel")
    assert (nothing.returncode, nothing.stdout) == (0, "posts: no rebuild is under way.\n")
    assert manage(database.env, "rebuild", "nobody").returncode == 2


def test_a_projection_without_events_can_be_rebuilt(database: Mode) -> None:
    for source in ("log", "store"):
        assert rebuild(posts, source).state == "done"
    mediator.send(LikePost(post_id=mediator.send(NewPost(message="a"), ALICE).stream_id), ALICE)
    publish_all()
    consume_all()
    assert_equals_the_fold(posts, 3)
