"""Rules that say who may: what is no rule, and what stands for one in words."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from messaging import access, mediator
from messaging.access import ANONYMOUS, NOBODY, Asker, NamedAsker, anyone, signed_in, staff
from messaging.exceptions import Forbidden, NotSignedIn, RegistrationError
from messaging.message import (
    COMMANDS,
    INTERNAL_COMMANDS,
    INTERNAL_QUERIES,
    QUERIES,
    command,
    query,
    who_may,
)
from queries_app.projections import posts


def message() -> type:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Passing:
        a: int

    return Passing


@pytest.fixture
def forgotten() -> Any:
    yield
    for registry in (COMMANDS, QUERIES, INTERNAL_COMMANDS, INTERNAL_QUERIES):
        registry.pop("Passing", None)


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("register", [command, query])
def test_by_default_whoever_is_signed_in_may(register: Callable[..., Any]) -> None:
    assert who_may(register(message())) is signed_in
    COMMANDS.pop("Passing", None)
    QUERIES.pop("Passing", None)
    assert who_may(register()(message())) is signed_in


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(
    ("register", "public", "internal"),
    [(command, COMMANDS, INTERNAL_COMMANDS), (query, QUERIES, INTERNAL_QUERIES)],
)
def test_an_internal_message_is_not_among_those_of_which_entrances_are_made(
    register: Callable[..., Any], public: dict[str, type], internal: dict[str, type]
) -> None:
    cls = register(who=anyone, internal=True)(message())
    assert (who_may(cls), internal["Passing"]) == (anyone, cls)
    assert "Passing" not in public
    assert cls in mediator.unhandled(), "it needs a handler like any other"


@pytest.mark.parametrize("register", [command, query])
def test_a_permission_without_its_app_is_refused_at_import(register: Callable[..., Any]) -> None:
    with pytest.raises(RegistrationError, match=r"'orders\.refund'"):
        register(who="refund")
    assert "Passing" not in {**COMMANDS, **QUERIES}


def test_a_name_alone_is_signed_in_and_has_no_rights() -> None:
    for name, is_somebody in (("alice", True), (ANONYMOUS, False), ("", False)):
        assert signed_in(NamedAsker(name)) is is_somebody
        assert access.permits(anyone, NamedAsker(name))
        assert not access.permits(staff, NamedAsker(name))
        assert not access.permits("orders.refund", NamedAsker(name))


def test_nobody_is_asked_to_sign_in_and_somebody_is_told_who_may() -> None:
    with pytest.raises(NotSignedIn) as unknown:
        access.require("orders.refund", NOBODY)
    assert (unknown.value.status, unknown.value.code) == (401, "not_authenticated")
    with pytest.raises(Forbidden) as known:
        access.require("orders.refund", NamedAsker("bob"))
    assert (known.value.status, known.value.code) == (403, "permission_denied")
    assert known.value.detail.endswith("Who may: Whoever has the permission orders.refund.")


def test_a_rule_of_the_project_is_told_by_the_first_line_of_its_docstring() -> None:
    def of_the_shop(asker: Asker) -> bool:
        """Whoever works in the shop.

        By the project's own table.
        """
        return True

    def untold(asker: Asker) -> bool:
        return True

    assert access.sentence(of_the_shop) == "Whoever works in the shop."
    assert "untold" in access.sentence(untold)
    assert "<lambda>" in access.sentence(lambda _: True)
    assert access.sentence(partial(untold))


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize(("who", "personal"), [(anyone, False), (signed_in, True), (staff, True)])
def test_no_cache_may_keep_an_answer_that_is_not_for_anyone(
    who: access.Who, personal: bool
) -> None:
    cls = query(who=who)(message())
    mediator.answers(cls, posts)(lambda asked: asked)
    assert mediator.is_personal(cls) is personal
