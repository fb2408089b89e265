"""A command may save several streams, of several types: all of it is stored, or nothing."""

import re
from collections.abc import Iterator
from dataclasses import fields
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core import signing
from django.db import connections

from commands_app.commands import NewPost
from commands_app.handlers import posts
from contracts.posts import MessageUpdated, PostCreated
from messaging import mediator
from messaging.eventstore.models import Event
from messaging.eventstore.unit_of_work import Appended, UnitOfWork, unit_of_work
from messaging.exceptions import DomainError, PreconditionFailed
from messaging.message import QUERIES, Context, Position, Result
from messaging.projections.serving import consistency_token, waiting
from messaging.testing import deliver_all
from queries_app.projections import posts as shown_posts
from queries_app.queries import FindPostById
from tests.support.api import Api, errors, some_id
from tests.support.modes import Mode
from tests.support.shop import (
    CancelOrder,
    CountStock,
    PlaceOrder,
    cancel_order,
    count_stock,
    shop,
)
from tests.support.stock import Reserve, Reserved, handle, items, reserve, stock
from tests.support.threads import together

ALICE = Context(actor="alice")
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def second_aggregate() -> Iterator[None]:
    with stock():
        yield


def written() -> UUID:
    return mediator.send(NewPost(message="Hi"), ALICE).stream_id


def edit(uow: UnitOfWork, post_id: UUID, message: str = "edited") -> Appended:
    changed = MessageUpdated(post_id=post_id, message=message)
    return posts.save(uow, posts.load(uow, post_id), [changed])


def both(command: Reserve, uow: UnitOfWork) -> list[Appended]:
    assert command.item_id is not None
    assert command.post_id is not None
    return [reserve(uow, command.item_id), edit(uow, command.post_id)]


def versions() -> list[tuple[str, int]]:
    return list(Event.objects.order_by("position").values_list("stream_type", "version"))


def sent(if_version: int | None = None, **ids: UUID) -> Result:
    wanted = None if if_version is None else frozenset({if_version})
    return mediator.send(Reserve(**ids), Context(actor="alice", if_version=wanted))


# --- results and tokens ----------------------------------------------------------------------


def test_the_result_and_its_token_cover_all_streams(database: Mode, monkeypatch: Patch) -> None:
    item_id, post_id = uuid4(), written()
    handle(monkeypatch, both)
    result = sent(item_id=item_id, post_id=post_id)
    assert result.positions == (
        Position("stock_item", item_id, 1),
        Position("post", post_id, 2),
    )
    assert (result.stream_id, result.version) == (item_id, 1)
    assert result.ids == {"item_id": item_id, "post_id": post_id}
    assert consistency_token.read(consistency_token.mint(result.positions)) == result.positions


def test_what_a_handler_saves_and_does_not_return_is_covered_too(
    sqlite: Mode, monkeypatch: Patch
) -> None:
    item_id, post_id = uuid4(), written()
    handle(monkeypatch, lambda command, uow: both(command, uow)[1])
    result = sent(item_id=item_id, post_id=post_id)
    assert {one.stream_type for one in result.positions} == {"post", "stock_item"}


def test_a_stream_that_is_saved_twice_counts_as_it_was_left(
    sqlite: Mode, monkeypatch: Patch
) -> None:
    item_id = uuid4()
    handle(monkeypatch, lambda _, uow: [reserve(uow, item_id), reserve(uow, item_id)])
    assert sent(item_id=item_id).positions == (Position("stock_item", item_id, 2),)
    with pytest.raises(PreconditionFailed):
        sent(item_id=item_id, if_version=3)
    assert sent(item_id=item_id, if_version=2).version == 4


def test_without_a_name_the_first_stream_that_was_returned_counts(
    sqlite: Mode, monkeypatch: Patch
) -> None:
    """A new thing, or one that is found by a natural key."""
    item_id, post_id = uuid4(), written()

    def handler(command: Reserve, uow: UnitOfWork) -> list[Appended]:
        reserved = reserve(uow, item_id)
        return [edit(uow, post_id), reserved]

    handle(monkeypatch, handler)
    assert sent().stream_id == post_id
    assert sent(other_id=uuid4()).stream_id == post_id, "the id of something within a stream"
    with pytest.raises(PreconditionFailed):
        sent(if_version=2)


def test_an_id_that_was_left_out_is_taken_from_the_events_of_the_named_stream_first(
    sqlite: Mode, monkeypatch: Patch
) -> None:
    item_id, post_id, another = uuid4(), uuid4(), uuid4()

    def handler(command: Reserve, uow: UnitOfWork) -> list[Appended]:
        created = PostCreated(post_id=post_id, author="alice", message="Hi")
        new = posts.save(uow, posts.new(uow, post_id), [created])
        item = items.new(uow, item_id)
        return [new, items.save(uow, item, [Reserved(amount=1, post_id=another)])]

    handle(monkeypatch, handler)
    assert sent().ids == {"post_id": post_id}


def test_a_command_that_is_sent_again_has_the_same_result(
    database: Mode, monkeypatch: Patch
) -> None:
    context, command = (
        Context(actor="alice", command_id=uuid4()),
        Reserve(item_id=uuid4(), post_id=written()),
    )
    handle(monkeypatch, both)
    first = mediator.send(command, context)
    assert mediator.send(command, context) == first
    assert len(first.positions) == 2
    assert len(versions()) == 3


def test_all_streams_are_saved_or_none(database: Mode, monkeypatch: Patch) -> None:
    post_id = written()

    def handler(command: Reserve, uow: UnitOfWork) -> Appended:
        reserve(uow, uuid4())
        edit(uow, post_id)
        raise DomainError("sold_out", "There is nothing left.")

    handle(monkeypatch, handler)
    with pytest.raises(DomainError, match="nothing left"):
        sent(post_id=post_id)
    assert versions() == [("post", 1)]


@pytest.mark.parametrize("wrong", [None, (), "posts", [None], Appended(uuid4(), 1, [])])
def test_a_handler_that_returns_anything_else_is_named(
    sqlite: Mode, monkeypatch: Patch, wrong: Any
) -> None:
    def handler(command: Reserve, uow: UnitOfWork) -> Any:
        reserve(uow, uuid4())
        return wrong

    handle(monkeypatch, handler)
    with pytest.raises(TypeError, match=r"handler of Reserve returned .* Repository.save returned"):
        sent()
    assert versions() == []


# --- If-Match ---------------------------------------------------------------------------------


def test_if_match_is_of_the_stream_that_the_command_names_whatever_is_loaded_first(
    database: Mode, monkeypatch: Patch
) -> None:
    item_id, post_id, other_id = uuid4(), written(), uuid4()
    with unit_of_work(ALICE) as uow:
        reserve(uow, other_id)

    def handler(command: Reserve, uow: UnitOfWork) -> list[Appended]:
        return [reserve(uow, other_id), edit(uow, post_id), reserve(uow, item_id)]

    handle(monkeypatch, handler)
    for before in (0, 1):
        for wrong in {0, 1, 2} - {before}:
            with pytest.raises(PreconditionFailed, match=f"is at version {before}"):
                sent(item_id=item_id, post_id=post_id, if_version=wrong)
        assert len(versions()) == 2 + 3 * before, "nothing of any stream is stored"
        assert sent(item_id=item_id, post_id=post_id, if_version=before).version == before + 1


def test_the_api_says_and_compares_the_etag_of_the_stream_that_the_command_names(
    sqlite: Mode, monkeypatch: Patch
) -> None:
    item_id, order_id = uuid4(), uuid4()

    def cancel_and_restock(command: CancelOrder, uow: UnitOfWork) -> list[Appended]:
        counted = count_stock(CountStock(item_id=item_id, count=1), uow)
        return [counted, cancel_order(command, uow)]

    monkeypatch.setitem(mediator._command_handlers, CancelOrder, cancel_and_restock)
    with shop():
        for count in range(5):
            mediator.send(CountStock(item_id=item_id, count=count), ALICE)
        mediator.send(PlaceOrder(order_id=order_id, lines=[]), ALICE)
        alice = Api("alice")
        for sent, status, etag in (('"v5"', 412, None), ('"v1"', 200, '"v2"'), ('"v1"', 412, None)):
            alice.headers["If-Match"] = sent
            answer = alice.client.post(
                "/api/cancel-order/", {"order_id": str(order_id)}, "application/json",
                headers=alice.headers,
            )  # fmt: skip
            assert (answer.status_code, answer.headers.get("ETag")) == (status, etag)
    assert versions().count(("shop_item", 6)) == 1


def test_and_of_one_that_is_loaded_and_not_saved(sqlite: Mode, monkeypatch: Patch) -> None:
    item_id, post_id = uuid4(), written()

    def handler(command: Reserve, uow: UnitOfWork) -> Appended:
        posts.load(uow, post_id)
        return reserve(uow, item_id)

    handle(monkeypatch, handler)
    with pytest.raises(PreconditionFailed):
        sent(post_id=post_id, if_version=0)
    result = sent(post_id=post_id, if_version=1)
    assert result.positions == (Position("post", post_id, 1), Position("stock_item", item_id, 1))


def test_a_command_that_would_be_refused_anyway_is_refused_for_that_reason(
    sqlite: Mode, monkeypatch: Patch
) -> None:
    def handler(command: Reserve, uow: UnitOfWork) -> Appended:
        reserve(uow, uuid4())
        raise DomainError("sold_out", "There is nothing left.")

    handle(monkeypatch, handler)
    with pytest.raises(DomainError, match="nothing left"):
        sent(if_version=7)


def test_a_conflict_of_another_stream_is_no_failed_precondition(
    database: Mode, monkeypatch: Patch
) -> None:
    item_id, post_id = uuid4(), written()
    with unit_of_work(ALICE) as uow:
        stale = items.load(uow, item_id)
        reserve(uow, item_id)
    attempts = []

    def handler(command: Reserve, uow: UnitOfWork) -> list[Appended]:
        attempts.append(1)
        item = stale if len(attempts) == 1 else items.load(uow, item_id)
        edited = edit(uow, post_id)
        return [edited, items.save(uow, item, [Reserved(amount=1)])]

    handle(monkeypatch, handler)
    result = sent(post_id=post_id, if_version=1)
    assert [one.version for one in result.positions] == [2, 2]
    assert len(attempts) == 2, "once more, as after every lost race"


def test_two_commands_that_lock_the_same_streams_in_opposite_order_both_succeed(
    database: Mode, monkeypatch: Patch
) -> None:
    one_id, other_id = uuid4(), uuid4()
    with unit_of_work(ALICE) as uow:
        reserve(uow, one_id)
        reserve(uow, other_id)
    both_hold_one = Barrier(2)
    attempts: list[UUID] = []

    def handler(command: Reserve, uow: UnitOfWork) -> list[Appended]:
        first, second = command.item_id, command.other_id
        assert first is not None
        assert second is not None
        attempts.append(first)
        reserved = reserve(uow, first)
        if connections["default"].vendor == "postgresql" and attempts.count(first) == 1:
            both_hold_one.wait(60)
        return [reserved, reserve(uow, second)]

    handle(monkeypatch, handler)
    results = together(
        lambda: sent(item_id=one_id, other_id=other_id),
        lambda: sent(item_id=other_id, other_id=one_id),
    )
    assert sorted(one.version for result in results for one in result.positions) == [2, 2, 3, 3]
    if connections["default"].vendor == "postgresql":  # SQLite has one writer at a time
        assert len(attempts) > 2, "one of them was stopped, and carried out again"


# --- tokens and queries -----------------------------------------------------------------------


def test_a_query_waits_only_for_the_streams_that_its_projection_takes_in(
    database: Mode, monkeypatch: Patch
) -> None:
    """No projection takes in the item: it would be waited for in vain."""
    post_id = written()
    handle(monkeypatch, both)
    result = sent(item_id=uuid4(), post_id=post_id)
    token = consistency_token.mint(result.positions)
    query = FindPostById(post_id=post_id)
    late = Api().ask("find-post-by-id", post_id=str(post_id), consistency_token=token)
    assert (late.status_code, errors(late)) == (503, [("read_side_behind", None)])
    deliver_all()
    assert mediator.ask(query, result.positions).message == "edited"
    answer = Api().ask("find-post-by-id", post_id=str(post_id), consistency_token=token)
    assert answer.json()["version"] == 2
    assert waiting.not_reached(shown_posts, result.positions) == []
    monkeypatch.setattr(shown_posts, "stream_types", frozenset({"post", "stock_item"}))
    assert waiting.not_reached(shown_posts, result.positions) == [result.positions[0]]


def test_a_stream_without_events_is_not_waited_for(sqlite: Mode) -> None:
    assert waiting.not_reached(shown_posts, [Position("post", uuid4(), 0)]) == []


def test_a_token_of_another_aggregate_makes_no_query_wait_or_fail(
    database: Mode, monkeypatch: Patch
) -> None:
    token = consistency_token.mint([Position("stock_item", uuid4(), 99)])

    def never(_: float) -> None:
        raise AssertionError("it waits")

    monkeypatch.setattr(waiting.time, "sleep", never)
    for name, answer in asked_with(token).items():
        assert answer.status_code in (200, 404), name


def forged() -> dict[str, str]:
    """Tokens that were not made here, or are of an earlier version."""
    item_id = uuid4()
    token = consistency_token.mint([Position("stock_item", item_id, 1)])
    sign = signing.Signer(salt="postlog.consistency").sign
    return {
        "no signature": token.rpartition(":")[0],
        "another signature": f"{token[:-1]}{'a' if token[-1] != 'a' else 'b'}",
        "another version": token.replace(".1:", ".2:", 1),
        "another type": token.replace("stock_item", "post", 1),
        "of an earlier version": sign(f"{item_id.hex}.1"),
        "no parts": sign("stock_item"),
        "no id": sign("stock_item.AAAA.1"),
        "no version": sign(token.split(":")[0][:-1]),
        "one too many": sign(token.split(":")[0] + ":"),
        "empty": "",
    }


@pytest.mark.parametrize("which", forged())
def test_a_forged_token_is_refused_by_every_query(unchanged: Mode, which: str) -> None:
    for name, answer in asked_with(forged()[which]).items():
        assert (answer.status_code, errors(answer)) == (
            400,
            [("invalid_token", "consistency_token")],
        ), name


def asked_with(token: str) -> dict[str, Any]:
    """Every query's answer, where all that has to be said is said."""
    api, headers = Api("alice"), {"Consistency-Token": token}
    said = {"post_id": some_id(), "comment_id": some_id(), "author": "alice"}
    said |= {"username": "alice", "q": "tea"}
    answers = {}
    for cls in QUERIES.values():
        name = re.sub("(?<!^)([A-Z])", r"-\1", cls.__name__).lower()
        params = {field.name: said[field.name] for field in fields(cls) if field.name in said}
        answers[name] = api.ask(name, headers=headers, **params)
    return answers
