"""`verify` names every difference between store, log and read models, and no other."""

from threading import Event as Flag
from uuid import UUID, uuid4

from django.db import connection, connections

from commands_app.commands import EditMessage, NewPost
from contracts.posts import PostCreated, PostLiked
from messaging import mediator
from messaging.bus.base import Message
from messaging.eventstore.models import Event, Outbox
from messaging.management.commands.verify import NO_DIFFERENCE
from messaging.message import Context
from messaging.projections.registry import PROJECTIONS
from messaging.testing import deliver_all, wait_until
from queries_app.models import Comment, HistoryEntry, Post
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.processes import Worker, here
from tests.support.rebuilding import some_posts
from tests.support.records import publish, record_of
from tests.support.relaying import publish_all
from tests.support.threads import together

ALICE = Context(actor="alice")


def all_consumed() -> None:
    some_posts()
    deliver_all()


def differences(mode: Mode, *arguments: str) -> list[str]:
    done = here("verify", "--patience", "0.3", *arguments)
    if done.returncode == 0:
        assert done.stdout == f"{NO_DIFFERENCE}\n"
        return []
    assert NO_DIFFERENCE not in done.stdout
    return done.stdout.splitlines()


def test_on_a_healthy_system_it_says_that_there_is_no_difference(mode: Mode) -> None:
    all_consumed()
    assert differences(mode) == []


def test_it_says_nothing_while_commands_are_sent_and_consumed(mode: Mode) -> None:
    some_posts()
    stop = Flag()

    def write() -> None:
        post_id = mediator.send(NewPost(message="first"), ALICE).stream_id
        number = 0
        while not stop.is_set():
            number += 1
            mediator.send(EditMessage(post_id=post_id, message=f"text {number}"), ALICE)
            mediator.send(NewPost(message="another"), ALICE)
            stop.wait(0.005)

    def verify() -> str:
        try:
            wait_until(lambda: Event.objects.count() > 100, "it is written")
            wait_until(lambda: Post.objects.exists(), "the consumer is at work")
            done = here("verify")
            assert done.returncode in (0, 1), done.stderr
            return done.stdout
        finally:
            stop.set()

    with Worker(mode.env, "runconsumer") as consumer:
        written, found = together(write, verify)
        assert consumer.stop() == 0
    assert written is None
    assert found == f"{NO_DIFFERENCE}\n"


def test_it_names_what_the_store_has_and_the_log_has_not(database: Mode) -> None:
    all_consumed()
    lost = mediator.send(NewPost(message="lost"), ALICE).stream_id
    Outbox.objects.all().delete()
    found = differences(database)
    assert (
        f"stream {lost}: versions 1 are not in the log: run `manage.py republish {lost}`" in found
    )
    assert (
        f"posts: stream {lost} is at version 0 of 1: it was not consumed. "
        "Is `manage.py runconsumer` running?" in found
    )
    assert len(found) == 1 + len(PROJECTIONS), "and the other projections the same"


def test_what_waits_in_the_outbox_is_not_missing(database: Mode) -> None:
    all_consumed()
    mediator.send(NewPost(message="waits"), ALICE)
    found = differences(database)
    assert not [line for line in found if "not in the log" in line]


def test_it_names_what_the_log_has_and_the_store_has_not(database: Mode) -> None:
    all_consumed()
    known, unknown = Event.objects.first().stream_id, uuid4()
    publish(
        record_of(unknown, 1, PostCreated(post_id=unknown, author="alice", message="a")),
        record_of(known, 99, PostLiked(post_id=known, username="x")),
    )
    for projection in PROJECTIONS.values():
        consume_all(projection)
    found = differences(database)
    assert (
        f"stream {known}: the log has versions 99, the store has not: run "
        "`manage.py restore-events`" in found
    )
    assert (
        f"stream {unknown}: the log has it, the store has not: run `manage.py restore-events`"
        in found
    )
    assert (
        f"posts: Post has rows of stream {unknown}, which the store does not know: run "
        "`manage.py restore-events`" in found
    )


def test_it_names_forks_changed_late_and_unreadable_records(database: Mode) -> None:
    all_consumed()
    event = Event.objects.order_by("position").first()
    post_id: UUID = event.stream_id
    forked = PostCreated(post_id=post_id, author="alice", message="another history")
    changed = PostCreated(post_id=post_id, author="alice", message="changed")
    late = uuid4()
    publish(
        record_of(post_id, 1, forked),
        Message("k", b"no json"),
        record_of(late, 2, PostLiked(post_id=late, username="x")),
        record_of(late, 1, PostCreated(post_id=late, author="alice", message="a")),
    )
    found = "\n".join(differences(database))
    assert f"stream {post_id}: version 1 is event {event.event_id} in the store and" in found
    assert "two histories" in found
    assert "not readable" in found
    assert f"stream {late}: version 2 stands at" in found
    assert changed.message not in found


def test_it_names_every_row_that_is_not_as_the_events_make_it(database: Mode) -> None:
    all_consumed()
    assert differences(database) == []
    wrong, missing, alone = Post.objects.filter(comments_count=1)[:3]
    Post.objects.filter(id=wrong.id).update(likes=77)
    Post.objects.filter(id=missing.id).delete()
    Comment.objects.filter(stream_id=alone.stream_id).delete()
    entry = HistoryEntry.objects.filter(new_text__isnull=False).first()
    HistoryEntry.objects.filter(id=entry.id).update(new_text="forged")
    found = "\n".join(differences(database))
    assert f"posts: Post of stream {wrong.stream_id}: likes is 77 instead of {wrong.likes}" in found
    assert f"posts: stream {missing.stream_id} is at version 0 of {missing.version}" in found
    assert f"posts: Comment of stream {missing.stream_id}" in found
    assert "the row should not be there" in found
    assert f"posts: Comment of stream {alone.stream_id}" in found
    assert "the row is missing" in found
    assert "new_text is 'forged' instead of" in found


def test_it_names_the_dead_letter_that_holds_a_stream_up(database: Mode) -> None:
    all_consumed()
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    mediator.send(EditMessage(post_id=post_id, message="b"), ALICE)
    first = Event.objects.get(stream_id=post_id, version=1)
    Outbox.objects.filter(position=first.position).delete()
    publish_all()
    for projection in PROJECTIONS.values():
        consume_all(projection)
    found = "\n".join(differences(database))
    assert f"stream {post_id}: versions 1 are not in the log" in found
    assert "(gap) holds it up" in found


def test_it_looks_at_all_streams_of_the_store(database: Mode) -> None:
    """Also at an event that vanished from the store behind its triggers' back."""
    all_consumed()
    event = Event.objects.filter(version=3).first()
    with connections["default"].cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
        else:
            cursor.execute("DROP TRIGGER events_refuse_delete")
        cursor.execute("DELETE FROM messaging_event WHERE position = %s", [event.position])
        if connection.vendor == "postgresql":
            cursor.execute("RESET session_replication_role")
    found = "\n".join(differences(database))
    assert f"stream {event.stream_id}: the store has versions 1-2, 4" in found
    assert f"stream {event.stream_id}: the log has versions 3, the store has not" in found
