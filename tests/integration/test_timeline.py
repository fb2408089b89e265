"""When an event passed each step of its way: from what is kept anyway."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from threading import Event as Flag
from typing import NoReturn
from uuid import uuid4, uuid5

import pytest

from commands_app.commands import LikePost, NewPost
from contracts.posts import PostLiked
from messaging import mediator
from messaging.bus import current_bus
from messaging.eventstore.keys import version_8
from messaging.eventstore.models import Event
from messaging.eventstore.unit_of_work import generated_command_id
from messaging.exceptions import BusError
from messaging.message import Context
from messaging.monitoring import timeline
from messaging.monitoring.timeline import Mark
from messaging.monitoring.trace import trace_of
from messaging.projections.consuming import resolving
from messaging.projections.models import DeadLetter
from messaging.projections.registry import Applier
from messaging.rebuilding import requests
from messaging.rebuilding.worker import RebuildWorker
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.console import signed_in, url
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.processes import here
from tests.support.relaying import publish_all

ALICE = Context(actor="alice")
STEPS = ["received", "stored", "published", "applied to posts"]
SLACK = timedelta(milliseconds=20)  # a time by another clock of the same host, cut short


def with_key() -> Context:
    """As a form or an Idempotency-Key makes it."""
    return replace(ALICE, command_id=uuid5(uuid4(), "key"))


def way_of(event: Event) -> dict[str, Mark]:
    return {mark.step: mark for mark in trace_of(event).marks}


def test_an_event_has_a_time_for_each_step_that_it_has_passed(mode: Mode) -> None:
    current_bus().ensure_topic()
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    event = Event.objects.get()
    way = way_of(event)
    assert way["published"].at is None
    assert "waits in the outbox" in way["published"].note
    assert way["applied to posts"].note == "on its way; the stream is at version 0"
    publish_all()
    consume_all(posts)
    way = way_of(event)
    times = [way[step].at for step in STEPS]
    for before, at in pairwise(times):
        assert before is not None
        assert at is not None
        assert at > before - SLACK
    assert all(way[step].after.startswith("+") for step in STEPS[1:])
    assert way["applied to history"].at is None

    mediator.send(LikePost(post_id=post_id), Context(actor="bob"))
    publish_all()
    consume_all(posts)
    way, liked = way_of(event), way_of(Event.objects.get(version=2))
    assert way["published"].at == times[2]
    assert way["applied to posts"].at == liked["applied to posts"].at == applied_at()
    assert way["applied to posts"].note == "at the latest: its rows are at version 2 by now"
    assert not liked["applied to posts"].note
    assert liked["applied to posts"].at != times[3]

    rebuild = requests.ask("posts", "store", "root")
    RebuildWorker(current_bus()).build(rebuild, Flag())
    note = way_of(Event.objects.get(version=2))["applied to posts"].note
    assert note == "by the rebuild of generation 2"


def test_a_command_with_a_key_was_received_when_its_conversation_began(
    database: Mode,
) -> None:
    chosen = mediator.send(NewPost(message="a"), with_key())
    first = Event.objects.get()
    way = way_of(first)
    received, stored = way["received"].at, way["stored"].at
    assert received is not None
    assert stored is not None
    assert timedelta() <= stored + SLACK - received < timedelta(minutes=1)

    later = replace(with_key(), correlation_id=chosen.correlation_id)
    mediator.send(NewPost(message="b"), later)
    assert way_of(Event.objects.exclude(pk=first.pk).get())["received"].at is None
    for named in (uuid4(), generated_command_id(), version_8(2**128 - 1)):
        mediator.send(NewPost(message="c"), replace(with_key(), correlation_id=named))
        unknown = way_of(Event.objects.order_by("-pk")[0])["received"]
        assert (unknown.at, unknown.note) == (None, "not kept"), named


def poisoned(*_: object) -> NoReturn:
    raise ZeroDivisionError


def test_an_event_that_is_parked_and_given_up_says_so_and_when(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    for actor in ("bob", "carol"):
        mediator.send(LikePost(post_id=post_id), Context(actor=actor))
    _, liked, later = Event.objects.order_by("position")
    publish_all()
    with monkeypatch.context() as patched:
        mistaken = Applier(poisoned, posts.appliers[PostLiked].row_keys)
        patched.setitem(posts.appliers, PostLiked, mistaken)
        consume_all(posts)
    letter = DeadLetter.objects.get(code="poison")
    parked = way_of(liked)["parked in posts"]
    assert (parked.at, parked.note) == (letter.parked_at, "poison")
    assert way_of(later)["parked in posts"].note == "behind"
    page = signed_in("root", is_superuser=True).get(url(DeadLetter, letter.pk, "change"))
    assert f'<a href="{url(Event, liked.pk, "trace")}">{liked.event_id}</a>' in page.text

    resolving.discard(letter)
    given_up = way_of(liked)["passed over in posts"]
    assert given_up.note.startswith("an operator discarded the event; at the latest")
    assert given_up.after.startswith("at most +")
    assert way_of(later)["applied to posts"].at is not None


def applied_at() -> object:
    return Post.objects.get().event_applied_at


def test_the_page_and_the_command_tell_the_same(sqlite: Mode) -> None:
    mediator.send(NewPost(message="a"), ALICE)
    publish_all()
    consume_all(posts)
    event = Event.objects.get()
    text = here("trace", str(event.event_id)).stdout
    page = signed_in(is_superuser=True).get(url(Event, event.position, "trace")).content.decode()
    for step in STEPS:
        assert f"<b>{step}</b>" in page
        line = next(one for one in text.splitlines() if one.startswith(f"  {step} "))
        assert line[23:46] in " ".join(page.split()), line
    assert page.count("<circle") == len(STEPS)


def test_a_log_that_is_away_costs_its_time_only(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    mediator.send(NewPost(message="a"), ALICE)
    publish_all()
    event = Event.objects.get()

    def fails(*_: object) -> NoReturn:
        raise BusError("It is away.")

    with monkeypatch.context() as patch:
        patch.setattr(timeline, "_written_at", fails)
        published = way_of(event)["published"]
    assert (published.at, published.note) == (None, "when is unknown: BusError: It is away.")
    monkeypatch.setattr(timeline, "MAX_READ", 0)
    assert "not in the 0 records" in way_of(event)["published"].note
