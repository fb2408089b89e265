"""Signals: what has just happened on an event's way (messaging/signals.py)."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections
from django.dispatch import Signal

import messaging
from commands_app.commands import NewPost
from messaging import mediator, signals
from messaging.conf import aliases
from messaging.eventstore.models import Event, Outbox
from messaging.message import Context
from messaging.projections.models import Checkpoint, DeadLetter, ProjectionState
from messaging.projections.registry import PROJECTIONS
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.parked import created, edited, poison
from tests.support.rebuilding import rebuild
from tests.support.records import publish
from tests.support.relaying import publish_all

Heard = list[tuple[str, Any, dict[str, Any], tuple[object, ...]]]
ALL = {name: one for name, one in vars(signals).items() if isinstance(one, Signal)}


def now() -> tuple[object, ...]:
    """What others find at this moment."""
    assert not any(connections[alias].in_atomic_block for alias in aliases())
    state = ProjectionState.objects.filter(name="posts").values_list("live_generation", flat=True)
    moved = Checkpoint.objects.filter(projection="posts", offset__gt=0).count()
    return (
        Event.objects.count(), Outbox.objects.count(), Post.objects.count(), moved,
        DeadLetter.objects.count(), state.first(),
    )  # fmt: skip


@contextmanager
def listening() -> Iterator[Heard]:
    heard: Heard = []
    with ExitStack() as stack:
        for name, one in ALL.items():

            def hear(sender: Any, name: str = name, **said: Any) -> None:
                heard.append((name, sender, said, now()))

            one.connect(hear, weak=False)
            stack.callback(one.disconnect, hear)
        yield heard


def test_all_are_public() -> None:
    assert set(ALL) <= set(messaging.__all__)
    assert len(ALL) == 7


def test_each_is_sent_after_the_commit_that_it_tells_of(database: Mode) -> None:
    with listening() as heard:
        result = mediator.send(NewPost(message="Hi"), Context(actor="alice", command_id=uuid4()))
    ((name, sender, said, then),) = heard
    assert (name, sender, then) == ("stored", NewPost, (1, 1, 0, 0, 0, None))
    assert (said["result"], said["context"].actor) == (result, "alice")

    with listening() as heard:
        publish_all()
    assert [(name, then[1]) for name, _, _, then in heard] == [
        ("leader_changed", 1), ("published", 0), ("leader_changed", 0),
    ]  # fmt: skip
    assert [said["active"] for name, _, said, _ in heard if name == "leader_changed"] == [1, 0]
    (said,) = [said for name, _, said, _ in heard if name == "published"]
    assert len(said["messages"]) == len(said["places"]) == 1
    assert said["took_s"] > 0

    with listening() as heard:
        consume_all()
    ((name, sender, said, then),) = heard
    assert (name, sender, then[2:4]) == ("applied", posts, (1, 1))
    assert [one.stream_id for one in said["events"]] == [result.stream_id]
    assert said["generation"] == 1

    bad = uuid4()
    publish(created(bad), poison(bad, 2), edited(bad, 3))
    with listening() as heard:
        consume_all()
    assert [(name, then[4]) for name, _, _, then in heard] == [("parked", 2), ("applied", 2)]
    assert [one.code for one in heard[0][2]["events"]] == ["poison", "behind"]

    with listening() as heard:
        rebuild(posts, "log")
    (switch,) = [one for one in heard if one[0] == "switched"]
    assert (switch[1], switch[2]["generation"], switch[3][5]) == (posts, 2, 2)


def test_a_partition_that_is_halted_is_told_of(sqlite: Mode) -> None:
    one = uuid4()
    publish(created(one), created(one))  # a second history
    with listening() as heard:
        consume_all()
    (halt,) = [one for one in heard if one[0] == "halted"]
    assert "event" in halt[2]["reason"]
    assert halt[2]["partition"] in Checkpoint.objects.exclude(halted="").values_list(
        "partition", flat=True
    )


def test_a_command_that_is_sent_again_is_stored_once(sqlite: Mode) -> None:
    context = Context(actor="alice", command_id=uuid4())
    with listening() as heard:
        for _ in range(2):
            mediator.send(NewPost(message="Hi"), context)
        mediator.send_together([(NewPost(message="Hi"), context)])
    assert [name for name, *_ in heard] == ["stored"]
    with listening() as heard:
        several = [Context(actor="alice", command_id=uuid4()) for _ in range(2)]
        mediator.send_together([(NewPost(message="Hi"), one) for one in several])
    assert [(name, said["context"], then[0]) for name, _, said, then in heard] == [
        ("stored", one, 3) for one in several
    ]


def test_of_a_projection_with_a_single_owner_it_is_told_who_that_is(sqlite: Mode) -> None:
    owned = [one for one in PROJECTIONS.values() if one.single_owner]
    if not owned:
        pytest.skip("this site has none")
    with listening() as heard:
        consume_all(owned[0])
    changes = [said for name, _, said, _ in heard if name == "leader_changed"]
    assert [one["active"] for one in changes] == [True, False]


def test_a_receiver_that_raises_harms_nothing_and_is_logged(
    database: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(sender: object, **_: object) -> None:
        raise RuntimeError("a receiver's mistake")

    with ExitStack() as stack:
        for one in ALL.values():
            one.connect(fail)
            stack.callback(one.disconnect, fail)
        mediator.send(NewPost(message="Hi"), Context(actor="alice"))
        publish_all()
        bad = uuid4()
        publish(created(bad), poison(bad, 2), edited(bad, 3))
        consume_all()
        rebuild(posts, "log")
    assert (now()[:3], now()[5]) == ((1, 0, 2), 2)
    assert {one.name for one in caplog.records if one.exc_info} == {"django.dispatch"}
