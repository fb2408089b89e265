"""What a bus would not take is refused before it is stored: it would stop all publishing."""

import json
import random
import string
from pathlib import Path
from typing import Any

import pytest

from commands_app.commands import NewPost
from commands_app.handlers import posts
from contracts.posts import PostCreated
from messaging import codec, mediator
from messaging.bus import current_bus
from messaging.bus.base import MAX_RECORD_BYTES
from messaging.eventstore.models import Event
from messaging.eventstore.scan import events_of
from messaging.eventstore.unit_of_work import Appended, UnitOfWork
from messaging.exceptions import TooLarge
from messaging.message import Context
from messaging.relay import outbox
from tests.support.api import Api, browser, errors
from tests.support.modes import Mode
from tests.support.processes import here
from tests.support.relaying import publish_all

ALICE = Context(actor="alice")


@pytest.fixture(autouse=True)
def unlimited_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that lets its sender write as much as it likes."""

    def new_post(command: Any, uow: UnitOfWork) -> Appended:
        found = posts.new(uow)
        event = PostCreated(post_id=found.stream_id, author=uow.actor, message=command.message)
        return posts.save(uow, found, [event])

    monkeypatch.setitem(mediator._command_handlers, NewPost, new_post)


def incompressible(size: int) -> str:
    return "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=size))


def size_of_the_last() -> int:
    (stored,) = events_of([Event.objects.latest("position").stream_id])
    return len(stored.document())


def test_the_largest_event_that_is_stored_is_published(any_bus: Mode) -> None:
    mediator.send(NewPost(message="x"), ALICE)
    text = incompressible(MAX_RECORD_BYTES - size_of_the_last() + 1)
    mediator.send(NewPost(message=text), ALICE)
    # A time without a fraction of a second takes 7 bytes less.
    assert MAX_RECORD_BYTES - size_of_the_last() in (0, 7)
    with pytest.raises(TooLarge):
        mediator.send(NewPost(message=text + "x" * 8), ALICE)
    publish_all()
    assert outbox.waiting() == 0
    assert sum(current_bus().end_offsets().values()) == Event.objects.count() == 2


@pytest.mark.parametrize(
    "text",
    ["x" * 1_047_700, "\U0001f44d" * 260_000, "\x01" * 170_000],
    ids=["ascii", "four-bytes-each", "escaped-to-six"],
)
def test_what_counts_is_the_size_of_the_document(sqlite: Mode, text: str) -> None:
    with pytest.raises(TooLarge) as refused:
        mediator.send(NewPost(message=text), ALICE)
    assert (refused.value.code, refused.value.status) == ("too_large", 413)
    assert (Event.objects.count(), outbox.waiting()) == (0, 0)


def test_small_events_are_not_encoded_to_be_measured(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(codec, "encode_record")
    assert mediator.send(NewPost(message="x" * 10_000), ALICE).version == 1


def test_the_api_says_413_and_remembers_it(sqlite: Mode, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 4_000_000
    api = Api("alice")
    api.headers["Idempotency-Key"] = "large"
    for _ in range(2):
        answer = api.send("new-post", message="x" * 1_047_700)
        assert (answer.status_code, errors(answer)) == (413, [("too_large", None)])


def test_a_form_says_it_on_a_page(sqlite: Mode, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 4_000_000
    client = browser("alice")
    client.handler.enforce_csrf_checks = False
    answer = client.post("/write/", {"text": "x" * 1_047_700})
    assert answer.status_code == 413
    assert "1,000,000 are stored at most" in answer.content.decode()


def test_sendcommands_counts_it_as_a_refusal(sqlite: Mode, tmp_path: Path) -> None:
    lines = [
        {"command": "NewPost", "actor": "alice", "post": name, "message": text}
        for name, text in (("p1", "x" * 1_047_700), ("p2", "Hi"))
    ]
    file = tmp_path / "lines"
    file.write_text("\n".join(map(json.dumps, lines)))
    done = here("sendcommands", str(file))
    assert done.returncode == 0, done.stderr
    assert "too_large: 1" in done.stdout
    assert Event.objects.count() == 1
