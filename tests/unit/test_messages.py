"""What is no message, or is registered wrongly, is said at import or by a system check."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from commands_app.commands import LikePost
from messaging import checks, mediator
from messaging.eventstore.unit import UnitOfWork
from messaging.exceptions import RegistrationError, UnknownMessage
from messaging.message import COMMANDS, Context, Result, command, event, wire_name_of


def handled_by_nobody(command: Any, unit: UnitOfWork) -> Result:
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

    for cls in (NotFrozen, NotSlotted, Positional, Plain):
        with pytest.raises(RegistrationError):
            command(cls)


def test_the_decorator_stands_outermost() -> None:
    with pytest.raises(RegistrationError):

        @dataclass(frozen=True, slots=True, kw_only=True)
        @command
        class Inner:
            a: int


def test_a_name_is_registered_once() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class LikePost:
        post_id: UUID

    with pytest.raises(RegistrationError):
        command(LikePost)


def test_a_wire_name_has_a_version() -> None:
    with pytest.raises(RegistrationError):
        event("posts.post_liked")


def test_a_command_has_one_handler() -> None:
    with pytest.raises(RegistrationError, match="two handlers"):
        mediator.handles(LikePost)(handled_by_nobody)


def test_only_a_registered_command_can_be_handled() -> None:
    with pytest.raises(RegistrationError):
        mediator.handles(int)(handled_by_nobody)


def test_a_command_without_a_handler_is_found_by_the_check() -> None:
    @command
    @dataclass(frozen=True, slots=True, kw_only=True)
    class HandledByNobody:
        a: int

    try:
        found: list[Any] = checks.every_message_has_a_handler()
        with pytest.raises(UnknownMessage):
            mediator.send(HandledByNobody(a=1), Context(actor="alice"))
    finally:
        del COMMANDS["HandledByNobody"]
    assert [(error.id, "HandledByNobody" in error.msg) for error in found] == [
        ("postlog.E001", True)
    ]


def test_the_project_as_it_is_passes_the_check() -> None:
    assert checks.every_message_has_a_handler() == []


def test_an_event_that_is_not_registered_has_no_wire_name() -> None:
    with pytest.raises(UnknownMessage):
        wire_name_of(int)
