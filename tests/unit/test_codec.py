"""What stands in the store and in the log: golden files, upcasters, and what cannot be read."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from messaging import codec
from messaging.contracts import posts
from messaging.exceptions import RegistrationError, UnknownMessage, Unreadable
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
    known: dict[str, Any] = {**VALUES, **TEXTS}
    return event_type(**{name: known[name] for name in event_type.__dataclass_fields__})


def document(wire_name: str) -> bytes:
    name, data = codec.encode_event(example(wire_name))
    values = {field: getattr(ENVELOPE, field) for field in ENVELOPE.__dataclass_fields__}
    return codec.encode_record(Envelope(**{**values, "type": name}), data)


@pytest.mark.parametrize("wire_name", sorted(EVENTS))
def test_an_event_is_written_as_its_golden_file_has_it(wire_name: str) -> None:
    golden = GOLDEN / f"{wire_name}.json"
    assert json.loads(document(wire_name)) == json.loads(golden.read_text(encoding="utf-8"))


@pytest.mark.parametrize("golden", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_every_version_that_was_ever_written_can_be_read(golden: Path) -> None:
    envelope, data = codec.decode_envelope(golden.read_bytes())
    event = codec.decode_event(envelope.type, data)
    assert event == example(codec.encode_event(event)[0])
    assert (envelope.event_id, envelope.version) == (ENVELOPE.event_id, ENVELOPE.version)
    assert envelope.recorded_at == ENVELOPE.recorded_at


def test_every_event_has_a_golden_file_and_a_schema() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} >= set(EVENTS)
    for wire_name, schema in codec.json_schemas().items():
        assert "post_id" in json.dumps(schema), wire_name


def test_an_old_version_is_lifted_step_by_step() -> None:
    old, older = "posts.post_liked.v0", "posts.post_liked.v00"
    codec.upcaster(older, old)(lambda data: {**data, "username": data["who"]})
    codec.upcaster(old, "posts.post_liked.v1")(lambda data: {**data, "post_id": data["post"]})
    try:
        event = codec.decode_event(older, json.dumps({"post": str(ID), "who": "bob"}))
    finally:
        del codec._upcasters[old], codec._upcasters[older]
    assert event == posts.PostLiked(post_id=ID, username="bob")


def test_a_current_version_has_no_upcaster() -> None:
    with pytest.raises(RegistrationError):
        codec.upcaster("posts.post_liked.v1", "posts.post_liked.v2")(lambda data: data)


def test_a_type_that_nobody_registered_is_unknown() -> None:
    with pytest.raises(UnknownMessage):
        codec.decode_event("posts.never.v1", "{}")


@pytest.mark.parametrize(
    "data", ["", "{}", "[]", '{"post_id": 5, "username": "x"}', '{"post_id": "x", "username": "y"}']
)
def test_a_payload_that_is_not_of_its_type_is_unreadable(data: str) -> None:
    with pytest.raises(Unreadable):
        codec.decode_event("posts.post_liked.v1", data)


@pytest.mark.parametrize(
    "change", [{"streamversion": 0}, {"id": "x"}, {"subject": None}, {"time": 1}]
)
def test_a_document_with_a_broken_envelope_is_unreadable(change: dict[str, Any]) -> None:
    broken = {**json.loads(document("posts.post_liked.v1")), **change}
    with pytest.raises(Unreadable):
        codec.decode_envelope(json.dumps(broken).encode())
