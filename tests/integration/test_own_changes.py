"""Pages show what their person has just changed, or say that they do not yet."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connections, router
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.sessions import SessionStore
from commands_app.commands import NewPost
from messaging import mediator
from messaging.exceptions import ReadSideBehind
from messaging.message import Context, Position
from messaging.projections.consuming.checkpoints import live_generation
from messaging.projections.models import DeadLetter
from messaging.projections.registry import PROJECTIONS
from messaging.projections.serving import own_changes
from messaging.projections.serving.models import OwnChange
from messaging.projections.serving.own_changes import Behind
from messaging.projections.serving.waiting import not_reached
from messaging.testing import deliver_all
from queries_app.projections import posts
from tests.support.api import person
from tests.support.modes import Mode
from tests.support.threads import together

ROUNDS = 15
NOT_YET = "is stored, and not shown here yet"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here waits for a read side that nobody feeds."""
    monkeypatch.setattr(own_changes, "missing_workers", lambda: ["manage.py runconsumer"])


def arrive() -> None:
    deliver_all()


def lately(owner: str) -> list[Position]:
    return [change.position for change in own_changes.lately(owner)]


def two_tabs(name: str) -> tuple[Client, Client]:
    """Of one session."""
    one, other = Client(), Client()
    one.force_login(person(name))
    other.cookies.load({name: morsel.value for name, morsel in one.cookies.items()})
    return one, other


def test_of_edits_that_two_tabs_send_at_once_none_is_forgotten(database: Mode) -> None:
    tabs = two_tabs("alice")
    owner = f"person:{person('alice').pk}"
    ids = [mediator.send(NewPost(message="a"), Context(actor="alice")).stream_id for _ in tabs]
    arrive()
    for number in range(ROUNDS):
        edits: list[Callable[[], Any]] = [
            partial(tab.post, f"/posts/{post_id}/edit/", {"text": f"edit {number}"})
            for tab, post_id in zip(tabs, ids, strict=True)
        ]
        assert [answer.status_code for answer in together(*edits)] == [302, 302]
        late = not_reached(posts, lately(owner))
        assert {one.stream_id for one in late} == set(ids), f"round {number}"
        assert all(NOT_YET in tab.get("/").content.decode() for tab in tabs)
        arrive()
        shown = tabs[number % 2].get("/").content.decode()
        assert NOT_YET not in shown
        assert shown.count(f"edit {number}") == len(ids)


def test_several_changes_are_stored_by_one_statement_each_stream_at_its_newest(
    database: Mode,
) -> None:
    one, other = uuid4(), uuid4()
    changes = [Position("post", one, 2), Position("post", other, 1), Position("post", one, 1)]
    with CaptureQueriesContext(connections[router.db_for_write(OwnChange)]) as captured:
        own_changes.store("o", *changes)
    assert sum("INSERT" in query["sql"] for query in captured) == 1
    assert set(lately("o")) == {Position("post", one, 2), Position("post", other, 1)}


def test_a_version_is_never_lowered_whatever_order_answers_come_in(database: Mode) -> None:
    stream = uuid4()
    works = [
        partial(own_changes.store, "o", Position("post", stream, n)) for n in (3, 9, 1, 7, 9, 2)
    ]
    assert together(*works) == [None] * 6
    assert lately("o") == [Position("post", stream, 9)]
    assert lately("another") == []


def test_changes_are_forgotten_when_they_are_old(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = [uuid4(), uuid4()]
    for stream in streams:
        own_changes.store("o", Position("post", stream, 1))
    OwnChange.objects.filter(stream_id=streams[0]).update(at=F("at") - own_changes.KEPT)
    assert lately("o") == [Position("post", streams[1], 1)]
    own_changes.sweep()
    assert [row.stream_id for row in OwnChange.objects.all()] == streams[1:]
    OwnChange.objects.update(at=F("at") - timedelta(days=2))
    monkeypatch.setattr(own_changes, "SWEEP_EVERY", 1)
    own_changes.store("another", Position("post", streams[0], 1))
    assert [row.owner for row in OwnChange.objects.all()] == ["another"]


def test_each_change_is_kept_from_its_own_time_on(database: Mode) -> None:
    """Also one that leaves the version as it was."""
    stream = uuid4()
    for version in (3, 3, 4):
        own_changes.store("o", Position("post", stream, version))
        assert lately("o") == [Position("post", stream, version)]
        OwnChange.objects.update(at=F("at") - own_changes.KEPT)
        assert lately("o") == []
    own_changes.store("o", Position("post", stream, 2))
    assert lately("o") == [], "an answer that comes late is no new change"


def test_a_page_looks_at_the_newest_changes(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_changes, "MAX_CHANGES", 2)
    newest, oldest, middle = (Position("post", uuid4(), 1) for _ in range(3))
    for age, position in enumerate((newest, middle, oldest)):
        own_changes.store("o", position)
        OwnChange.objects.filter(stream_id=position.stream_id).update(
            at=F("at") - timedelta(seconds=30 * age)
        )
    assert lately("o") == [newest, middle]


def test_a_change_that_is_long_overdue_is_told_of_and_not_waited_for(
    database: Mode, rf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event is a dead letter, for instance, while the workers are alive."""
    monkeypatch.setattr(own_changes, "missing_workers", list)
    waited: list[Position] = []
    monkeypatch.setattr(own_changes, "wait_for", lambda _, positions: waited.extend(positions))
    request = rf.get("/")
    request.user = person("alice")
    change = Position("post", uuid4(), 1)
    own_changes.remember(request, change)
    assert own_changes.behind(request, posts) is None
    assert waited == [change]
    for overdue in (own_changes.FRESH, timedelta(hours=23)):
        OwnChange.objects.update(at=F("at") - overdue)
        assert own_changes.behind(request, posts) == Behind([], frozenset({change.stream_id}))
    assert waited == [change]

    fresh = Position("post", uuid4(), 1)
    own_changes.remember(request, fresh)
    late = own_changes.behind(request, posts)
    assert late is not None
    assert late.streams == {change.stream_id}
    assert waited == [change, fresh], "an overdue one is not in its way"


def test_a_page_waits_once_however_many_changes_do_not_come(
    sqlite: Mode, rf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_changes, "missing_workers", list)
    waited: list[Position] = []

    def in_vain(_: object, positions: list[Position]) -> None:
        waited.extend(positions)
        raise ReadSideBehind("not yet")

    monkeypatch.setattr(own_changes, "wait_for", in_vain)
    request = rf.get("/")
    request.user = person("alice")
    changes = [Position("post", uuid4(), 1) for _ in range(5)]
    own_changes.remember(request, *changes)
    streams = frozenset(change.stream_id for change in changes)
    assert own_changes.behind(request, posts, PROJECTIONS["likes"]) == Behind([], streams)
    assert len(waited) == 1


def test_of_what_does_not_come_a_page_knows_what_an_operator_has_to_see_to(
    database: Mode, rf: Any
) -> None:
    alice = person("alice")
    request = rf.get("/")
    request.user = alice
    letters = {"poison": 1, "unreadable": 1, "gap": 0, "behind": 0, "waits for newer code": 0,
               "an old gap": 1, "poison of a later version": 0}  # fmt: skip
    streams = {code: uuid4() for code in letters}
    assert live_generation("posts") == 1
    for number, (code, stream_id) in enumerate(streams.items()):
        of = {"projection": "posts", "generation": 1, "stream_id": stream_id}
        version = 2 if "later" in code else 1
        code = {"an old gap": "gap", "poison of a later version": "poison"}.get(code, code)
        DeadLetter.objects.create(
            **of, code=code, version=version, partition=0, offset=number, reason="why"
        )
    old = DeadLetter.objects.filter(stream_id=streams["an old gap"])
    old.update(parked_at=F("parked_at") - timedelta(minutes=1))
    DeadLetter.objects.create(projection="posts", generation=2, stream_id=streams["gap"], version=1,
                              partition=0, offset=9, code="poison", reason="not live")  # fmt: skip
    own_changes.remember(request, *[Position("post", one, 1) for one in streams.values()])
    late = own_changes.behind(request, posts)
    assert late is not None
    assert late.streams == set(streams.values())
    assert late.parked == {streams[code] for code, needs_hands in letters.items() if needs_hands}
    page = Client()
    page.force_login(alice)
    said = page.get(f"/posts/{streams['poison']}/")
    assert (said.status_code, "stored, and not shown yet" in said.text) == (202, True)
    assert "by itself" not in said.text
    assert "hx-get" not in said.text
    assert "dead letters" not in said.text, "what only staff can see"
    late_only = page.get(f"/posts/{streams['gap']}/")
    assert (late_only.status_code, "on its way" in late_only.text) == (202, True)
    assert "catches up by itself" in late_only.text, "though another post of hers is parked"
    feed = page.get("/").text
    assert "keeps it from being shown" in feed
    assert "hx-get" in feed, "for those that come"
    alice.is_staff = alice.is_superuser = True
    alice.save()
    assert "dead letters" in page.get(f"/posts/{streams['poison']}/").text


def test_a_page_waits_only_for_what_its_projections_take_in(
    database: Mode, rf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = rf.get("/")
    request.user = person("alice")
    item, post = Position("stock_item", uuid4(), 1), Position("post", uuid4(), 1)
    own_changes.remember(request, item)
    assert own_changes.behind(request, posts) is None
    own_changes.remember(request, post, item)
    assert own_changes.behind(request, posts).streams == {post.stream_id}  # type: ignore[union-attr]
    monkeypatch.setattr(posts, "stream_types", frozenset({"post", "stock_item"}))
    both = {post.stream_id, item.stream_id}
    assert own_changes.behind(request, posts).streams == both  # type: ignore[union-attr]


def test_only_a_post_that_is_on_its_way_is_shown_as_such(sqlite: Mode) -> None:
    alice = Client()
    alice.force_login(person("alice"))
    written = mediator.send(NewPost(message="not consumed"), Context(actor="alice")).stream_id
    own_changes.store(f"person:{person('alice').pk}", Position("post", written, 1))
    assert alice.get(f"/posts/{written}/").status_code == 202
    assert alice.get(f"/posts/{uuid4()}/").status_code == 404


def test_pages_wait_over_a_new_session_too(sqlite: Mode) -> None:
    alice = Client()
    alice.force_login(person("alice"))
    alice.post("/write/", {"text": "not consumed", "form": "f"})
    alice.post("/accounts/logout/")
    assert NOT_YET not in alice.get("/").content.decode(), "nobody known waits for nothing"
    alice.force_login(person("alice"))
    assert NOT_YET in alice.get("/").content.decode()


def test_who_is_not_signed_in_is_known_by_the_session(sqlite: Mode, rf: Any) -> None:
    request = rf.get("/")
    request.user, request.session = AnonymousUser(), SessionStore()
    assert own_changes.behind(request, posts) is None
    own_changes.remember(request, Position("post", uuid4(), 1))
    assert request.session.session_key
    again = rf.get("/")
    again.user, again.session = AnonymousUser(), SessionStore(request.session.session_key)
    assert own_changes.behind(again, posts) is not None
