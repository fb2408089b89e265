"""What is no message, or is registered wrongly, is said at import or by a system check."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from commands_app import post
from commands_app.commands import LikePost
from contracts.posts import PostLiked
from messaging import mediator, message_checks
from messaging.eventstore.repository import REPOSITORIES, Repository
from messaging.eventstore.unit_of_work import Appended, UnitOfWork
from messaging.exceptions import RegistrationError, UnknownMessage
from messaging.message import (
    COMMANDS,
    EVENTS,
    QUERIES,
    Context,
    command,
    event,
    query,
    wire_name_of,
)
from messaging.projections import registry
from messaging.projections.registry import PROJECTIONS, Projection
from queries_app.models import Post
from queries_app.projections import posts
from queries_app.queries import FindPostById


def handled_by_nobody(command: Any, uow: UnitOfWork) -> Appended:
    raise AssertionError("never called")


def answered_by_nobody(query: Any) -> Any:
    raise AssertionError("never called")


def test_a_message_is_frozen_slotted_and_keyword_only() -> None:
    @dataclass(slots=True, kw_only=True)
    class NotFrozen:
        a: int

    @dataclass(frozen=True, kw_only=True)
    class NotSlotted:
        a: int

    @dataclass(frozen=True, slots=True)
    class Positional:
        a: int

    class Plain:
        pass

    before = (dict(COMMANDS), dict(QUERIES), dict(EVENTS))
    for cls in (NotFrozen, NotSlotted, Positional, Plain):
        for register in (command, query, event("posts.never.v1", stream="post")):
            with pytest.raises(RegistrationError, match=cls.__name__):
                register(cls)
    assert before == (COMMANDS, QUERIES, EVENTS)


def test_the_decorator_stands_outermost() -> None:
    with pytest.raises(RegistrationError, match="outermost"):

        @dataclass(frozen=True, slots=True, kw_only=True)
        @command
        class Inner:
            a: int


def test_a_name_is_registered_once() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class LikePost:
        post_id: UUID

    with pytest.raises(RegistrationError, match="twice"):
        command(LikePost)


def test_a_wire_name_is_of_one_event() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Another:
        a: int

    with pytest.raises(RegistrationError, match="twice"):
        event("posts.post_liked.v1", stream="post")(Another)
    assert EVENTS["posts.post_liked.v1"] is PostLiked


def test_an_event_has_one_wire_name() -> None:
    with pytest.raises(RegistrationError, match="already"):
        event("posts.post_liked.v2", stream="post")(PostLiked)
    assert "posts.post_liked.v2" not in EVENTS
    assert wire_name_of(PostLiked) == "posts.post_liked.v1"


@pytest.mark.parametrize(
    "name", ["posts.post_liked", "", "posts.v", "a.vx", "a.v1.b", "a.v-1", "a.v²"]
)
def test_a_wire_name_ends_in_its_version(name: str) -> None:
    with pytest.raises(RegistrationError, match="wire name"):
        event(name, stream="post")


@pytest.mark.parametrize("stream", ["", "x" * 101])
def test_an_event_says_which_type_of_stream_it_belongs_to(stream: str) -> None:
    with pytest.raises(RegistrationError, match="stream='order'"):
        event("posts.never.v1", stream=stream)


def test_an_event_has_the_field_that_is_to_hold_the_id_of_its_stream() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class LoanOpened:
        amount: int

    with pytest.raises(RegistrationError, match="LoanOpened has no field loan_id"):
        event("loans.opened.v1", stream="loan", id_field="loan_id")(LoanOpened)
    assert "loans.opened.v1" not in EVENTS


@pytest.mark.parametrize("of", ["", [], ["post", ""]])
def test_a_projection_says_which_types_of_stream_it_is_of(of: str | list[str]) -> None:
    with pytest.raises(RegistrationError, match="of='order'"):
        Projection("nothing", of=of, models=[Post])
    assert "nothing" not in PROJECTIONS


@pytest.mark.parametrize("of", ["loan", ["loan", "order"]])
def test_a_projection_refuses_an_event_of_a_type_that_it_does_not_take(
    of: str | list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PROJECTIONS", {})
    loans = Projection("loans", of=of, models=[Post])
    with pytest.raises(RegistrationError, match=r"PostLiked .* 'post': .* 'loan'.* Add it to of="):
        loans.on(PostLiked)
    either = Projection("either", of=["loan", "post"], models=[Post])
    either.on(PostLiked)(handled_by_nobody)
    assert list(either.appliers) == [PostLiked]


def test_a_repository_refuses_an_evolve_of_another_type_of_stream() -> None:
    with pytest.raises(RegistrationError, match=r"'invoice'.* takes \w+, .* 'post'"):
        Repository("invoice", post.evolve, post.Post, schema=1)
    assert "invoice" not in REPOSITORIES


def test_a_command_has_one_handler() -> None:
    with pytest.raises(RegistrationError, match="two handlers"):
        mediator.handles(LikePost)(handled_by_nobody)


def test_a_query_has_one_handler() -> None:
    with pytest.raises(RegistrationError, match="two handlers"):
        mediator.answers(FindPostById, posts)(answered_by_nobody)


def test_only_a_registered_message_can_be_handled() -> None:
    with pytest.raises(RegistrationError, match="not registered"):
        mediator.handles(int)(handled_by_nobody)
    with pytest.raises(RegistrationError, match="not registered"):
        mediator.handles(FindPostById)(handled_by_nobody)
    with pytest.raises(RegistrationError, match="not registered"):
        mediator.answers(LikePost, posts)(answered_by_nobody)


def test_what_is_no_message_is_handled_by_nobody() -> None:
    with pytest.raises(UnknownMessage):
        mediator.send(FindPostById(post_id=UUID(int=1)), Context(actor="alice"))
    with pytest.raises(UnknownMessage):
        mediator.ask(LikePost(post_id=UUID(int=1)))


def test_a_command_without_a_handler_is_found_by_the_check() -> None:
    @command
    @dataclass(frozen=True, slots=True, kw_only=True)
    class HandledByNobody:
        a: int

    try:
        found: list[Any] = message_checks.every_message_has_a_handler()
        with pytest.raises(UnknownMessage):
            mediator.send(HandledByNobody(a=1), Context(actor="alice"))
    finally:
        del COMMANDS["HandledByNobody"]
    assert [(error.id, "HandledByNobody" in error.msg) for error in found] == [
        ("postlog.E001", True)
    ]


def test_a_query_without_a_handler_is_found_by_the_check() -> None:
    @query
    @dataclass(frozen=True, slots=True, kw_only=True)
    class AnsweredByNobody:
        a: int

    try:
        found: list[Any] = message_checks.every_message_has_a_handler()
        with pytest.raises(UnknownMessage):
            mediator.ask(AnsweredByNobody(a=1))
    finally:
        del QUERIES["AnsweredByNobody"]
    assert [(error.id, "AnsweredByNobody" in error.msg, bool(error.hint)) for error in found] == [
        ("postlog.E001", True, True)
    ]


def test_the_project_as_it_is_passes_the_check() -> None:
    assert message_checks.every_message_has_a_handler() == []


def test_an_event_that_is_not_registered_has_no_wire_name() -> None:
    with pytest.raises(UnknownMessage):
        wire_name_of(int)
