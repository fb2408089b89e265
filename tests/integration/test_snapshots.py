"""Snapshots save reading; what they say is what the events say, or they are ignored."""

import random
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from commands_app import handlers
from commands_app.commands import (
    AddComment,
    EditMessage,
    LikePost,
    NewPost,
    RemoveComment,
    UnlikePost,
)
from commands_app.post import Post
from messaging import mediator
from messaging.eventstore import repository, snapshots
from messaging.eventstore.models import Snapshot
from messaging.eventstore.unit_of_work import unit_of_work
from messaging.exceptions import DomainError
from messaging.message import Context, Result
from tests.support.modes import Mode
from tests.support.snapshots import folded
from tests.support.threads import together

ALICE = Context(actor="alice")


def loaded(post_id: UUID) -> Any:
    with unit_of_work(ALICE) as uow:
        return handlers.posts.load(uow, post_id)


def post_with(edits: int) -> UUID:
    post_id = mediator.send(NewPost(message="first"), ALICE).stream_id
    for number in range(edits):
        mediator.send(EditMessage(post_id=post_id, message=f"text {number}"), ALICE)
    return post_id


def test_a_snapshot_keeps_what_is_on_a_post_as_strings(sqlite: Mode) -> None:
    """Decoding each comment would cost more than the command."""
    post_id = post_with(edits=0)
    for number in range(99):
        mediator.send(AddComment(post_id=post_id, text=f"{number}"), ALICE)
    state = msgspec.json.decode(Snapshot.objects.get(stream_id=post_id).state)
    assert (state["comments"]["size"], state["comments"]["changed"]) == (99, {})
    assert loaded(post_id).state == folded(post_id)


def test_a_stream_gets_a_snapshot_every_hundred_events(database: Mode) -> None:
    post_id = post_with(edits=98)
    assert not Snapshot.objects.exists()
    mediator.send(EditMessage(post_id=post_id, message="the hundredth"), ALICE)
    assert Snapshot.objects.get(stream_id=post_id).version == 100
    for number in range(99):
        mediator.send(EditMessage(post_id=post_id, message=f"again {number}"), ALICE)
    assert Snapshot.objects.get(stream_id=post_id).version == 100
    mediator.send(LikePost(post_id=post_id), ALICE)
    assert Snapshot.objects.get(stream_id=post_id).version == 200
    assert loaded(post_id).snapshot == 200, "and it is what the next command begins with"


@pytest.mark.parametrize("seed", range(3))
def test_a_state_from_snapshots_is_the_state_from_all_events(
    database: Mode, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "EVERY", 7)
    chance = random.Random(seed)
    post_id, comments = mediator.send(NewPost(message="first"), ALICE).stream_id, [uuid4()]
    for number in range(150):
        me = Context(actor=chance.choice(["alice", "bob", "çelik"]))
        command = chance.choice(
            [
                EditMessage(post_id=post_id, message=f'text {number} \u2028 \\ " ü'),
                LikePost(post_id=post_id),
                UnlikePost(post_id=post_id),
                AddComment(post_id=post_id, text=f"comment {number}"),
                RemoveComment(post_id=post_id, comment_id=chance.choice(comments)),
            ]
        )
        try:
            result = mediator.send(command, me)
        except DomainError:
            continue
        comments += [result.ids["comment_id"]] if isinstance(command, AddComment) else []
        assert loaded(post_id).state == folded(post_id)
    assert Snapshot.objects.get().version > 50


def test_writers_side_by_side_leave_a_true_snapshot(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "EVERY", 3)
    post_id = post_with(edits=0)

    def like(writer: int) -> None:
        for number in range(20):
            mediator.send(LikePost(post_id=post_id), Context(actor=f"w{writer}-{number}"))

    assert together(*(lambda w=w: like(w) for w in range(4))) == [None] * 4  # type: ignore[misc]
    assert Snapshot.objects.get().version > 75
    assert loaded(post_id).state == folded(post_id)


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "no json"},
        {"state": "{}"},
        {"state": '{"post_id": 1}'},
        {"state": "[" * 100_000},
        {"schema": "1-another"},
        {"version": 5_000},
    ],
    ids=["text", "empty", "types", "deep", "schema", "later"],
)
def test_a_wrong_snapshot_is_ignored_and_replaced(database: Mode, wrong: dict[str, Any]) -> None:
    post_id = post_with(edits=100)
    Snapshot.objects.update(**wrong)
    found = loaded(post_id)
    assert (found.version, found.snapshot) == (101, 0)
    assert found.state == folded(post_id)
    mediator.send(LikePost(post_id=post_id), ALICE)
    snapshot = Snapshot.objects.get()
    assert (snapshot.version, snapshot.schema) == (102, handlers.posts._snapshots.schema)
    assert loaded(post_id).snapshot == 102


def test_a_state_with_other_fields_has_another_schema() -> None:
    number, fields = snapshots.SnapshotCodec(Post, 1).schema.split("-")
    assert snapshots.SnapshotCodec(Post, 2).schema == f"2-{fields}"
    assert snapshots.SnapshotCodec(Result, 1).schema != f"{number}-{fields}"
