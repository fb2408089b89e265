"""Values that may be used once: taken, released and changed with the events that need them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from threading import Barrier, get_ident
from uuid import UUID, uuid4

import pytest
from django.db import connection

from commands_app.handlers import posts
from contracts.posts import PostCreated
from messaging import mediator
from messaging.api.asyncapi import document
from messaging.codec import decode_event, encode_event
from messaging.eventstore.models import Event, Stream
from messaging.eventstore.reservations import Released, Reserved
from messaging.eventstore.unit_of_work import Appended, UnitOfWork, unit_of_work
from messaging.exceptions import AlreadyReserved, DomainError, Invalid, StreamBusy
from messaging.message import EVENTS, INTERNAL_COMMANDS, Context, Result, command
from messaging.testing import deliver_all
from queries_app.models import Post
from tests.support.losing import wipe_store
from tests.support.modes import Mode
from tests.support.processes import here
from tests.support.threads import together

ANN = Context(actor="ann")
ME, OTHER = UUID(int=1), UUID(int=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Take slugs for a new post, one after the other."""

    slugs: tuple[str, ...]


meet: Callable[[], object] = int  # between two slugs


def take(command: Take, uow: UnitOfWork) -> Appended:
    post = posts.new(uow)
    for number, slug in enumerate(command.slugs):
        if number:
            meet()
        uow.reserve("slug", slug, post.stream_id)
    created = PostCreated(post_id=post.stream_id, author=uow.actor, message="Hi")
    return posts.save(uow, post, [created])


@pytest.fixture(autouse=True)
def take_command() -> Iterator[None]:
    command(internal=True)(Take)
    mediator.handles(Take)(take)
    yield
    del INTERNAL_COMMANDS["Take"], mediator._command_handlers[Take]


def sent(*slugs: str) -> Result:
    """Send it as a client does: again after each 503."""
    while True:
        try:
            return mediator.send(Take(slugs=slugs), ANN)
        except StreamBusy:
            continue


def do(*steps: tuple[str, str, UUID]) -> None:
    """Reserve and release, all in one unit of work."""
    with unit_of_work(ANN) as uow:
        for what, slug, stream_id in steps:
            getattr(uow, what)("slug", slug, stream_id)


def stored() -> list[str]:
    return list(Event.objects.order_by("position").values_list("type", flat=True))


def test_of_fifty_who_want_one_value_at_once_exactly_one_gets_it(database: Mode) -> None:
    ready = Barrier(50)

    def want() -> Result:
        connection.ensure_connection()
        ready.wait()
        return sent("hello")

    results = together(*[want] * 50)
    (won,) = [result for result in results if isinstance(result, Result)]
    lost = [result for result in results if result is not won]
    assert all(isinstance(one, AlreadyReserved) for one in lost), lost
    assert {(one.code, one.status) for one in lost} == {("slug_taken", 409)}
    assert sorted(stored()) == ["postlog.reserved.v1", "posts.post_created.v1"]
    with unit_of_work(ANN) as uow:
        uow.reserve("slug", "hello", won.stream_id)
    assert len(stored()) == 2, "who has it may reserve it again, which changes nothing"


def test_two_who_reserve_in_opposite_orders_both_come_to_an_end(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the other: PostgreSQL ends one, and it begins again."""
    both, met = Barrier(2), set[int]()

    def at_first() -> None:
        if get_ident() not in met:
            met.add(get_ident())
            both.wait()

    monkeypatch.setattr(f"{__name__}.meet", at_first)
    results = together(partial(sent, "a", "b"), partial(sent, "b", "a"))
    assert sorted(type(one).__name__ for one in results) == ["AlreadyReserved", "Result"], results
    assert sorted(stored()) == [*["postlog.reserved.v1"] * 2, "posts.post_created.v1"]


def test_what_is_released_may_be_reserved_by_another(database: Mode) -> None:
    do(("reserve", "a", ME))
    with pytest.raises(AlreadyReserved):
        do(("reserve", "a", OTHER))
    do(("release", "a", ME))
    do(("reserve", "a", OTHER))
    with pytest.raises(AlreadyReserved):
        do(("reserve", "a", ME))


def test_a_value_is_changed_in_one_command(sqlite: Mode) -> None:
    do(("reserve", "a", ME))
    do(("release", "a", ME), ("reserve", "b", ME))
    do(("reserve", "a", OTHER))
    with pytest.raises(AlreadyReserved):
        do(("release", "a", OTHER), ("reserve", "b", OTHER))
    with pytest.raises(AlreadyReserved):
        do(("reserve", "a", ME))  # its release was undone with the command that was refused


def test_one_value_is_reserved_and_released_in_one_command(database: Mode) -> None:
    do(("reserve", "a", ME), ("release", "a", ME), ("reserve", "a", OTHER))
    do(("release", "a", OTHER), ("reserve", "a", ME), ("release", "a", ME))
    do(("reserve", "a", OTHER))
    assert Stream.objects.get().version == 7


@pytest.mark.parametrize("before", [[], [("reserve", "a", OTHER)]], ids=["nobody", "another"])
def test_only_who_has_a_value_releases_it(
    sqlite: Mode, before: list[tuple[str, str, UUID]]
) -> None:
    do(*before)
    events = stored()
    with pytest.raises(DomainError) as refused:
        do(("release", "a", ME))
    assert (refused.value.code, refused.value.status) == ("slug_not_held", 409)
    assert stored() == events


def test_the_domain_may_use_words_of_its_own(sqlite: Mode) -> None:
    do(("reserve", "a", OTHER))
    with unit_of_work(ANN) as uow:
        with pytest.raises(AlreadyReserved, match=r"^This slug is taken\. Choose another one\.$"):
            uow.reserve("slug", "a", ME)
        uow.reserve("slug", "a-2", ME)  # what else was done, and is done, is stored
    assert len(stored()) == 2


def test_values_of_two_kinds_are_not_one(sqlite: Mode) -> None:
    do(("reserve", "a", ME))
    with unit_of_work(ANN) as uow:
        uow.reserve("username", "a", OTHER)


def test_a_condition_on_the_thing_is_none_on_its_reservation(sqlite: Mode) -> None:
    do(("reserve", "taken", ME), ("release", "taken", ME))
    result = mediator.send(Take(slugs=("taken",)), Context(actor="ann", if_version=frozenset({0})))
    assert result.version == 1
    assert [one.stream_type for one in result.positions] == ["post"]


@pytest.mark.parametrize("key", ["", "x" * 201, "a\ud800"])
def test_an_impossible_value_is_refused(sqlite: Mode, key: str) -> None:
    with pytest.raises(Invalid, match="What names a slug has 1 to 200 characters") as refused:
        do(("reserve", key, ME))
    assert refused.value.code == "invalid_key"


def test_a_kind_is_a_word(sqlite: Mode) -> None:
    with pytest.raises(ValueError, match="such as 'username'"), unit_of_work(ANN) as uow:
        uow.reserve("a slug", "a", ME)


# --- what stands in the log -----------------------------------------------------------------------


def test_reservations_are_restored_with_the_store_and_disturb_no_projection(mode: Mode) -> None:
    again = Context(actor="ann", command_id=uuid4())
    result = mediator.send(Take(slugs=("kept",)), again)
    holder = result.stream_id
    do(("reserve", "given up", holder))
    do(("release", "given up", holder))
    deliver_all()
    assert here("verify").returncode == 0
    assert Post.objects.filter(stream_id=holder).count() == Post.objects.count() == 1
    wipe_store()
    done = here("restore-events")
    assert done.returncode == 0, done.stderr
    assert mediator.send(Take(slugs=("kept",)), again).positions == result.positions
    with pytest.raises(AlreadyReserved):
        do(("reserve", "kept", OTHER))
    do(("reserve", "given up", OTHER))


def test_the_value_itself_does_not_stand_in_its_events(sqlite: Mode) -> None:
    do(("reserve", "ann@example.org", ME), ("release", "ann@example.org", ME))
    payloads = [json.loads(data) for data in Event.objects.values_list("data", flat=True)]
    assert payloads == [{"kind": "slug", "holder": str(ME)}] * 2


def test_what_was_ever_written_can_be_read() -> None:
    data = '{"kind":"slug","holder":"00000000-0000-0000-0000-000000000001"}'
    for name, cls in (("postlog.reserved.v1", Reserved), ("postlog.released.v1", Released)):
        one = cls(kind="slug", holder=ME)
        assert encode_event(one) == (name, data)
        assert decode_event(name, data) == one


def test_the_document_of_a_projects_events_leaves_them_out_and_says_so() -> None:
    found = document()
    assert set(found["components"]["messages"]) == set(EVENTS)
    assert not any(name.startswith("postlog.") for name in EVENTS)
    assert "begins with postlog. are bookkeeping" in found["info"]["description"]
