"""`manage.py trace`: from a command or an event to the rows."""

import json
from uuid import UUID, uuid4

import pytest

from commands_app.commands import EditMessage, LikePost, NewPost
from messaging import mediator
from messaging.eventstore.models import Event
from messaging.exceptions import NotFound
from messaging.message import Context
from queries_app.projections import posts
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.processes import here, manage
from tests.support.relaying import publish_all

COMMAND_ID = UUID("01890000-0000-7000-8000-00000000000a")
ALICE = Context(actor="alice", command_id=COMMAND_ID)


def traced(some_id: object) -> str:
    done = here("trace", str(some_id))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_command_is_followed_to_its_rows(database: Mode) -> None:
    post_id = mediator.send(NewPost(message="followed"), ALICE).stream_id
    event = Event.objects.get()
    text = traced(COMMAND_ID)
    assert f"command {COMMAND_ID}, sent by alice" in text
    assert f'answered {{"result":{{"positions":[["post","{post_id}",1]]' in text
    assert f"event {event.event_id}, version 1 of stream {post_id}: waits in the outbox" in text
    assert "  posts: on its way; the stream is at version 0" in text
    publish_all()
    consume_all(posts)
    text = traced(COMMAND_ID)
    assert f"version 1 of stream {post_id}: published" in text
    assert "  posts: applied; the stream is at version 1" in text
    assert "author=alice, message=followed" in text


def test_an_event_leads_to_the_same(sqlite: Mode) -> None:
    post_id = mediator.send(NewPost(message="first"), ALICE).stream_id
    mediator.send(LikePost(post_id=post_id), Context(actor="bob"))
    created, liked = Event.objects.order_by("position")
    publish_all()
    assert traced(created.event_id) == traced(COMMAND_ID)
    text = traced(liked.event_id)
    assert f"command {liked.command_id}, sent by bob" in text
    assert "posts.post_created.v1" not in text, "it is another conversation"
    assert "answered" not in text, "the sender did not choose the id"


def test_what_was_refused_has_a_receipt_and_no_event(sqlite: Mode) -> None:
    with pytest.raises(NotFound):
        mediator.send(EditMessage(post_id=uuid4(), message="x"), ALICE)
    text = traced(COMMAND_ID)
    assert f"command {COMMAND_ID}, sent by alice: no events" in text
    answer = text.partition("answered ")[2]
    assert json.loads(answer)["code"] == "post_not_found"


def test_a_text_of_many_lines_stays_on_one(sqlite: Mode) -> None:
    mediator.send(NewPost(message="a\nb\x1b[2J" + "c" * 1_000), ALICE)
    publish_all()
    consume_all(posts)
    (line,) = [one for one in traced(COMMAND_ID).splitlines() if "message=" in one]
    assert "message=a\\nb\\x1b[2Jccc" in line
    assert line.isascii()
    assert len(line) < 600


def test_an_id_of_nothing_fails_and_what_is_no_id_is_wrong_usage(sqlite: Mode) -> None:
    done = here("trace", str(uuid4()))
    assert done.returncode == 1
    assert "is the id of no event" in done.stderr
    assert manage(sqlite.env, "trace", "42").returncode == 2
