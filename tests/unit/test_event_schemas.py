"""What changes between two releases breaks the reading of stored events, or does not; and gaps in
upcasters are found at start."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, make_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Optional
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from messaging import message_checks
from messaging.codec import compatibility, upcaster, upcasting
from messaging.codec.compatibility import changes_since, current_schemas, decode_schemas
from messaging.exceptions import RegistrationError
from messaging.testing import registered

V1, V2, V3 = (f"kit.order_placed.v{number}" for number in (1, 2, 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    item: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineWithPrice:
    item: str
    amount: int
    price: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LineWithoutAmount:
    item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    children: list["Tree"]


class Size(StrEnum):
    SMALL = "small"


class Format(StrEnum):
    """The same under another name."""

    SMALL = "small"


class MoreSizes(StrEnum):
    SMALL = "small"
    LARGE = "large"


def event(name: str = "OrderPlaced", **fields: Any) -> type:
    """A class of an event; a field is a type, or a type with a default."""
    listed = [
        (key, *value) if isinstance(value, tuple) else (key, value)
        for key, value in {"order_id": UUID, **fields}.items()
    ]
    made = [
        (key, kind, field(default=default[0])) if default else (key, kind)
        for key, kind, *default in listed
    ]
    return make_dataclass(name, made, frozen=True, slots=True, kw_only=True)


class Registry:
    """What is registered, for one test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def event(self, wire_name: str, cls: type | None = None, stream: str = "order") -> None:
        self._stack.enter_context(registered(wire_name, cls or event(), stream=stream))

    def upcaster(self, old: str, new: str) -> None:
        upcaster(old, new)(lambda data: data)
        self._stack.callback(upcasting._upcasters.pop, old)

    def clear(self) -> None:
        self._stack.close()


@pytest.fixture
def registry() -> Iterator[Registry]:
    with ExitStack() as stack:
        yield Registry(stack)


def said(then: compatibility.EventSchemas) -> list[tuple[str, str, bool]]:
    return [(one.wire_name, one.what, one.is_breaking) for one in changes_since(then)]


@pytest.mark.parametrize(
    ("old", "new", "what", "breaks"),
    [
        ({}, {"item": str}, "the field item was added without a default", True),
        ({}, {"item": (str, "tea")}, "the field item was added with a default", False),
        ({"item": str}, {}, "the field item was removed", True),
        ({"item": str}, {"item": int}, "item was string and is integer", True),
        ({"item": str}, {"item": UUID}, "item was string and is string (uuid)", True),
        ({"n": int}, {"n": Optional[int]}, "n was integer and is integer or null", True),  # noqa: UP045
        ({"n": int | None}, {"n": int}, "n was integer or null and is integer", True),
        ({"n": (int, 1)}, {"n": (int, 2)}, "the default of the field n was changed", True),
        ({"n": (int, 1)}, {"n": int}, "the field n has no default any more", True),
        ({"n": int}, {"n": (int, 1)}, "the field n has a default now", False),
        ({"s": Size}, {"s": MoreSizes}, "s was one of small and is one of large, small", True),
        ({"s": Literal["a"]}, {"s": Literal["b"]}, "s was one of a and is one of b", True),
        ({"n": list[int]}, {"n": list[str]}, "n[] was integer and is string", True),
        ({"n": list[int]}, {"n": int}, "n was list of integer and is integer", True),
        ({"n": dict[str, int]}, {"n": dict[str, str]}, "n[] was integer and is string", True),
        ({"n": Line}, {"n": LineWithPrice}, "the field n.price was added with a default", False),
        (
            {"n": list[Line]},
            {"n": list[LineWithPrice]},
            "the field n[].price was added with a default",
            False,
        ),
        (
            {"n": Line | None},
            {"n": LineWithoutAmount | None},
            "the field n.amount was removed",
            True,
        ),
        (
            {"n": tuple[int, Line]},
            {"n": tuple[int, LineWithoutAmount]},
            "the field n.amount was removed",
            True,
        ),
    ],
)
def test_a_change_of_a_field_is_named_and_breaks_or_does_not(
    registry: Registry, old: dict[str, Any], new: dict[str, Any], what: str, breaks: bool
) -> None:
    registry.event(V1, event(**old))
    then = current_schemas()
    registry.clear()
    registry.event(V1, event(**new))
    assert said(then) == [(V1, what, breaks)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (event(n=Line), event("AnotherName", n=Line)),
        (event(n=Size), event(n=Format)),
        (event(n=Tree), event(n=Tree)),
        (event(items=list[int], properties=Line), event(items=list[int], properties=Line)),
        (event(a=int, b=str), event(b=str, a=int)),
    ],
    ids=["class", "enum", "recursive", "words of schemas", "order"],
)
def test_what_is_stored_as_before_is_no_change(registry: Registry, old: type, new: type) -> None:
    registry.event(V1, old)
    then = current_schemas()
    registry.clear()
    registry.event(V1, new)
    assert said(then) == []


def test_a_new_version_with_an_upcaster_breaks_nothing(registry: Registry) -> None:
    registry.event(V1, event(item=str))
    then = current_schemas()
    registry.clear()
    registry.event(V3, event(amount=int))
    registry.upcaster(V1, V2)
    registry.upcaster(V2, V3)
    assert said(then) == [(V1, f"is lifted to {V3}", False), (V3, "is new", False)]


def test_a_new_version_without_one_breaks(registry: Registry) -> None:
    registry.event(V1)
    then = current_schemas()
    registry.clear()
    registry.event(V2)
    (removed, new) = changes_since(then)
    assert removed.is_breaking
    assert "stored events of it could not be read" in removed.what
    assert (new.wire_name, new.what) == (V2, "is new")


def test_an_upcaster_that_is_gone_breaks(registry: Registry) -> None:
    registry.event(V2)
    registry.upcaster(V1, V2)
    then = current_schemas()
    del upcasting._upcasters[V1]
    try:
        (gone,) = changes_since(then)
    finally:
        upcaster(V1, V2)(lambda data: data)
    assert (gone.wire_name, gone.is_breaking) == (V1, True)


def test_an_event_of_another_stream_type_breaks_lifted_or_not(registry: Registry) -> None:
    registry.event(V1)
    then = current_schemas()
    registry.clear()
    registry.event(V1, stream="cart")
    what = "was of the stream type 'order' and is of 'cart'"
    assert said(then) == [(V1, what, True)]
    registry.clear()
    registry.event(V2, stream="cart")
    registry.upcaster(V1, V2)
    assert said(then)[0] == (V1, what, True)


def test_a_file_of_schemas_is_read_as_it_was_written(registry: Registry) -> None:
    registry.event(V2, event(n=list[Line]))
    registry.upcaster(V1, V2)
    now = current_schemas()
    assert decode_schemas(compatibility.encode_schemas(now).encode()) == now
    assert (now.lifted, now.events[V2].stream) == ({V1: V2}, "order")


@pytest.fixture
def release(registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The file of a release with one event."""
    registry.event(V1, event(item=str))
    call_command("events", "schema")
    file = tmp_path / "events.json"
    file.write_text(capsys.readouterr().out)
    registry.clear()
    return file


def test_the_command_lists_what_is_compatible_and_succeeds(
    registry: Registry, release: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.event(V1, event(item=str, note=(str, "")))
    call_command("events", "diff", against=release)
    what = "the field note was added with a default"
    assert capsys.readouterr().out == f"compatible  {V1}: {what}.\n"


def test_it_fails_on_what_breaks_and_says_what_to_do(
    registry: Registry, release: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.event(V1)
    with pytest.raises(CommandError, match="break the reading of events: 1") as failed:
        call_command("events", "diff", against=release)
    assert failed.value.returncode == 1
    assert capsys.readouterr().out == (
        f"breaking    {V1}: the field item was removed. Leave {V1} as it was, and add {V2} with an "
        "upcaster.\n"
    )


def test_it_says_that_nothing_has_changed(
    registry: Registry, release: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.event(V1, event(item=str))
    call_command("events", "diff", against=release)
    assert capsys.readouterr().out == "Nothing has changed.\n"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"events": {}, "lifted": {}, "more": 1}', None])
def test_a_file_of_something_else_is_wrong_usage(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "events.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(CommandError, match="by the code of the last release") as refused:
        call_command("events", "diff", against=file)
    assert refused.value.returncode == 2


def test_our_own_events_have_schemas_that_are_json() -> None:
    text = compatibility.encode_schemas(current_schemas())
    assert "posts.post_created.v1" in json.loads(text)["events"]


# --- gaps in upcasters ----------------------------------------------------------------------------


def faults() -> list[tuple[str, str]]:
    """Ids and wire names."""
    found = message_checks.old_events_are_read_as_the_newest()
    assert all(one.hint for one in found)
    names = [
        word.strip(",") for one in found for word in one.msg.split() if word.startswith("kit.")
    ]
    return [(str(one.id), name) for one, name in zip(found, names, strict=False)]


def test_a_chain_of_upcasters_to_a_class_has_no_gap(registry: Registry) -> None:
    registry.event(V3)
    registry.upcaster(V1, V2)
    registry.upcaster(V2, V3)
    assert faults() == []


def test_a_class_alone_has_none_whatever_its_version(registry: Registry) -> None:
    registry.event(V2)
    assert faults() == []


def test_a_version_between_two_that_nothing_leads_up_from_is_a_gap(registry: Registry) -> None:
    registry.event(V3)
    registry.upcaster(V1, V3)
    assert faults() == [("postlog.E015", V2)]


def test_upcasters_that_end_at_no_class_are_a_gap(registry: Registry) -> None:
    registry.event(V3)
    registry.upcaster(V1, V2)
    assert faults() == [("postlog.E015", V1), ("postlog.E015", V2)]


def test_upcasters_in_a_circle_are_refused(registry: Registry) -> None:
    registry.upcaster(V1, V2)
    registry.upcaster(V2, V3)
    with pytest.raises(RegistrationError, match="circle"):
        registry.upcaster(V3, V1)
    with pytest.raises(RegistrationError, match="circle"):
        registry.upcaster(V3, V3)


def test_a_class_with_an_upcaster_is_found(registry: Registry) -> None:
    registry.upcaster(V1, V2)
    registry.event(V2)
    registry.event(V1)
    assert faults() == [("postlog.E015", V1)]


def test_an_older_class_beside_a_newer_one_is_warned_of(registry: Registry) -> None:
    """Its events can be read, and what handles the newer ones passes over them."""
    registry.event(V1)
    registry.event(V2)
    assert faults() == [("postlog.W015", V1)]
    assert (
        "is not read as its newest version"
        in message_checks.old_events_are_read_as_the_newest()[0].msg
    )


def test_an_event_that_was_given_another_name_has_no_gap(registry: Registry) -> None:
    registry.event("kit.order_submitted.v2")
    registry.upcaster(V1, "kit.order_submitted.v2")
    assert faults() == []
