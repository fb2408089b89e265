"""What stands in the store and in the log: golden files, upcasters, and what cannot be read."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import posts
from messaging import codec
from messaging.codec import upcasting
from messaging.codec.payload import CLASS_CHANGED, UPCASTER_WRONG
from messaging.exceptions import DecodeError, RegistrationError, UnknownMessage
from messaging.message import EVENTS, Envelope

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
ID, COMMENT = UUID(int=1), UUID(int=2)
VALUES = {"post_id": ID, "comment_id": COMMENT, "author": "alice", "username": "bob"}
TEXTS = {"message": 'Zeile 1\n"é" 👍', "text": "a\tb"}
ENVELOPE = Envelope(
    event_id=UUID(int=3),
    stream_id=ID,
    stream_type="post",
    version=7,
    type="?",
    recorded_at=datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
    actor="alice",
    command_id=UUID(int=4),
    correlation_id=UUID(int=5),
    causation_id=None,
    traceparent="",
)


def example(wire_name: str) -> Any:
    event_type = EVENTS[wire_name]
    known: dict[str, Any] = {**VALUES, **TEXTS, "written_at": None}
    return event_type(**{name: known[name] for name in event_type.__dataclass_fields__})


def document(wire_name: str) -> bytes:
    name, data = codec.encode_event(example(wire_name))
    return codec.encode_record(replace(ENVELOPE, type=name), data)


def changed(**changes: Any) -> bytes:
    """The document of a like, with other values, or without those that are `...`."""
    found = {**json.loads(document("posts.post_liked.v1")), **changes}
    return json.dumps({key: value for key, value in found.items() if value is not ...}).encode()


@pytest.mark.parametrize("wire_name", sorted(EVENTS))
def test_an_event_is_written_as_its_golden_file_has_it(wire_name: str) -> None:
    golden = GOLDEN / f"{wire_name}.json"
    assert json.loads(document(wire_name)) == json.loads(golden.read_text(encoding="utf-8"))


@pytest.mark.parametrize("golden", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_every_version_that_was_ever_written_can_be_read(golden: Path) -> None:
    envelope, data = codec.decode_envelope(golden.read_bytes())
    event = codec.decode_event(envelope.type, data)
    assert event == example(codec.encode_event(event)[0])
    assert envelope == replace(ENVELOPE, type=golden.stem)


@pytest.mark.parametrize("wire_name", sorted(EVENTS))
def test_the_payload_in_the_store_is_the_data_of_the_record(wire_name: str) -> None:
    golden = json.loads((GOLDEN / f"{wire_name}.json").read_text(encoding="utf-8"))
    name, data = codec.encode_event(example(wire_name))
    assert (name, json.loads(data)) == (wire_name, golden["data"])
    assert codec.decode_event(wire_name, data) == example(wire_name)


def test_every_event_has_a_golden_file() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} >= set(EVENTS)


@pytest.mark.parametrize("wire_name", sorted(EVENTS))
def test_the_schema_of_an_event_names_every_field_and_its_type(wire_name: str) -> None:
    schema = codec.json_schemas()[wire_name]
    (described,) = schema["$defs"].values()
    hints = EVENTS[wire_name].__annotations__
    uuid, text = {"type": "string", "format": "uuid"}, {"type": "string"}
    optional = {"anyOf": [text, {"type": "null"}], "default": None}
    kinds = {UUID: uuid, str: text}
    expected = {name: kinds.get(hint, optional) for name, hint in hints.items()}
    assert described["properties"] == expected
    assert described["required"] == [name for name in hints if name != "written_at"]


def test_a_text_that_says_when_it_was_written_has_one_more_field_and_no_other_event_has() -> None:
    at = datetime(2005, 4, 7, 22, 13, 13, tzinfo=UTC)
    dated = [name for name, event in EVENTS.items() if hasattr(event, "written_at")]
    assert sorted(dated) == [
        "posts.comment_added.v1",
        "posts.comment_updated.v1",
        "posts.message_updated.v1",
        "posts.post_created.v1",
    ]
    for name in dated:
        plain = example(name)
        event = replace(plain, written_at=at)
        _, data = codec.encode_event(event)
        assert json.loads(data) == {
            **json.loads(codec.encode_event(plain)[1]),
            "written_at": "2005-04-07T22:13:13Z",
        }
        assert codec.decode_event(name, data) == event


uuids = st.uuids()
texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.builds(posts.CommentAdded, post_id=uuids, comment_id=uuids, author=texts, text=texts),
    st.builds(
        Envelope,
        event_id=uuids,
        stream_id=uuids,
        stream_type=texts,
        version=st.integers(1, 2**31 - 1),
        type=texts,
        recorded_at=st.datetimes(timezones=st.just(UTC)),
        actor=texts,
        command_id=uuids,
        correlation_id=uuids,
        causation_id=st.none() | uuids,
        traceparent=texts,
    ),
)
def test_what_is_written_is_read_back_the_same(
    event: posts.CommentAdded, envelope: Envelope
) -> None:
    wire_name, payload = codec.encode_event(event)
    found, data = codec.decode_envelope(codec.encode_record(envelope, payload))
    assert found == envelope
    assert codec.decode_event(wire_name, data) == event


def test_a_time_with_another_offset_is_the_same_moment_in_utc() -> None:
    moved = ENVELOPE.recorded_at.astimezone(timezone(timedelta(hours=5)))
    found, _ = codec.decode_envelope(changed(time=moved.isoformat()))
    assert (found.recorded_at, found.recorded_at.tzinfo) == (ENVELOPE.recorded_at, UTC)


def test_a_field_that_a_later_version_of_the_code_added_is_passed_over() -> None:
    data = json.dumps({"post_id": str(ID), "username": "bob", "reaction": {"kind": "👍"}})
    assert codec.decode_event("posts.post_liked.v1", data) == example("posts.post_liked.v1")
    found, _ = codec.decode_envelope(changed(dataschema="https://example.org/liked"))
    assert found.type == "posts.post_liked.v1"


def test_an_old_version_is_lifted_step_by_step() -> None:
    old, older = "posts.post_liked.v0", "posts.post_liked.v00"
    codec.upcaster(older, old)(lambda data: {**data, "username": data["who"]})
    codec.upcaster(old, "posts.post_liked.v1")(lambda data: {**data, "post_id": data["post"]})
    try:
        event = codec.decode_event(older, json.dumps({"post": str(ID), "who": "bob"}))
    finally:
        del upcasting._upcasters[old], upcasting._upcasters[older]
    assert event == posts.PostLiked(post_id=ID, username="bob")


def test_a_current_version_has_no_upcaster() -> None:
    with pytest.raises(RegistrationError):
        codec.upcaster("posts.post_liked.v1", "posts.post_liked.v2")(lambda data: data)


def test_an_old_version_is_lifted_by_one_upcaster() -> None:
    codec.upcaster("posts.post_liked.v0", "posts.post_liked.v1")(lambda data: data)
    try:
        with pytest.raises(RegistrationError):
            codec.upcaster("posts.post_liked.v0", "posts.post_liked.v1")(lambda data: data)
    finally:
        del upcasting._upcasters["posts.post_liked.v0"]


def test_a_type_that_nobody_registered_is_unknown() -> None:
    with pytest.raises(UnknownMessage):
        codec.decode_event("posts.never.v1", "{}")


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"post_id": 5, "username": "x"}',
        '{"post_id": "x", "username": "y"}',
        f'{{"post_id": "{ID}", "username": null}}',
        f'{{"post_id": "{ID}", "username": 5}}',
        f'{{"post_id": "{ID}", "username": "\\ud800"}}',
        f'{{"post_id": "{ID}", "username": "bob"}} more',
        f'{{"post_id": "{ID}", "username": "bob"',
        f'{{"post_id": "{ID}", "username": "\xff"}}'.encode("latin-1"),
        f'{{"post_id": "{ID}", "username": "bob", "more": {"[" * 100_000}{"]" * 100_000}}}',
    ],
    ids=lambda data: ascii(data[-24:]),
)
def test_a_payload_that_is_not_of_its_type_is_unreadable(data: str | bytes) -> None:
    with pytest.raises(DecodeError):
        codec.decode_event("posts.post_liked.v1", data)


def test_an_old_version_that_is_no_json_is_unreadable() -> None:
    codec.upcaster("posts.post_liked.v0", "posts.post_liked.v1")(lambda data: data)
    try:
        for data in (b"", b"\xff", b"[" * 100_000 + b"]" * 100_000, b"{}"):
            with pytest.raises(DecodeError):
                codec.decode_event("posts.post_liked.v0", data)
    finally:
        del upcasting._upcasters["posts.post_liked.v0"]


def test_what_does_not_fit_its_class_is_told_the_cure() -> None:
    with pytest.raises(DecodeError) as caught:
        codec.decode_event("posts.post_liked.v1", f'{{"post_id": "{ID}"}}')
    fault = "posts.post_liked.v1: Object missing required field `username`"
    assert (caught.value.fault, str(caught.value)) == (fault, f"{fault}. {CLASS_CHANGED}")
    with pytest.raises(DecodeError) as caught:
        codec.decode_event("posts.post_liked.v1", "no json")
    assert str(caught.value) == caught.value.fault, "that is no fault of a class"


@pytest.mark.parametrize(
    ("lift", "fault"),
    [
        (lambda data: {**data, "username": data["who"]}, ": an upcaster fails at it, KeyError: "),
        (lambda data: data, ", lifted to posts.post_liked.v1: Object missing required field "),
    ],
    ids=["raises", "lacks a field"],
)
def test_what_an_upcaster_cannot_lift_is_unreadable_and_told_the_cure(
    lift: Callable[[dict[str, Any]], dict[str, Any]], fault: str
) -> None:
    codec.upcaster("posts.post_liked.v0", "posts.post_liked.v1")(lift)
    try:
        with pytest.raises(DecodeError) as caught:
            codec.decode_event("posts.post_liked.v0", f'{{"post_id": "{ID}"}}')
    finally:
        del upcasting._upcasters["posts.post_liked.v0"]
    assert caught.value.fault.startswith(f"posts.post_liked.v0{fault}")
    assert str(caught.value).endswith(UPCASTER_WRONG)


@pytest.mark.parametrize(
    "change",
    [
        {"streamversion": 0},
        {"streamversion": 2**31},  # more than the columns hold
        {"streamversion": 2**63},
        {"streamversion": "1"},
        {"streamversion": True},
        {"id": "x"},
        {"subject": None},
        {"time": 1},
        {"time": "2026-01-02T03:04:05"},  # of no time zone
        {"time": "0001-01-01T00:00:00+14:00"},  # before the first year, in UTC
        {"time": "9999-12-31T23:59:59-14:00"},
        {"actor": None},
        *({key: ...} for key in ("id", "source", "type", "subject", "time", "streamtype", "data")),
        *({key: ...} for key in ("streamversion", "actor", "commandid", "correlationid")),
    ],
    ids=str,
)
def test_a_document_with_a_broken_envelope_is_unreadable(change: dict[str, Any]) -> None:
    with pytest.raises(DecodeError):
        codec.decode_envelope(changed(**change))


@pytest.mark.parametrize(
    "document",
    [b"", b"null", b"[]", b"\xff", b"no json", changed(data="@").replace(b'"@"', b"[" * 99_999)],
    ids=["nothing", "null", "list", "bytes", "text", "deep"],
)
def test_what_is_no_document_is_unreadable(document: bytes) -> None:
    with pytest.raises(DecodeError):
        codec.decode_envelope(document)
