"""Lines of a history: what each becomes, and why one is wrong."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.posts import CommentAdded, PostCreated
from messaging.api import strict_json
from messaging.api.file_ids import id_of
from messaging.bus.base import MAX_RECORD_BYTES
from messaging.codec import upcasting
from messaging.eventstore.keys import id_of_key
from messaging.eventstore.repository import REPOSITORIES
from messaging.eventstore.unit_of_work import SERVER_GENERATED
from messaging.importing.lines import ImportedEvent, Wrong, _first_unknown, parse

NOW = datetime(2026, 11, 28, tzinfo=UTC)
POST = "6f7b1c62-5a0e-4d0c-9d3c-0b6f4f1f7abc"
DATA = {"post_id": POST, "author": "alice", "message": "Hi"}
LINE = {
    "stream": POST, "version": 1, "type": "posts.post_created.v1",
    "at": "2019-04-07T15:13:13.5+02:00", "actor": "alice", "data": DATA,
}  # fmt: skip
COMMENT = {"comment_id": str(UUID(int=8)), "author": "bob", "text": "x"}


def read(raw: bytes | None = None, **changed: Any) -> ImportedEvent:
    return parse(7, raw or json.dumps({**LINE, **changed}).encode(), NOW)


def reason(raw: bytes | None = None, **changed: Any) -> str:
    with pytest.raises(Wrong) as wrong:
        read(raw, **changed)
    assert len(str(wrong.value)) < 400
    return str(wrong.value)


# --- what a line becomes -------------------------------------------------------------------------


def test_a_line_becomes_its_event_at_its_time() -> None:
    found = read()
    assert found.event == PostCreated(post_id=UUID(POST), author="alice", message="Hi")
    e = found.envelope
    assert (e.stream_id, e.stream_type, e.version, e.actor) == (UUID(POST), "post", 1, "alice")
    assert e.recorded_at == datetime(2019, 4, 7, 13, 13, 13, 500_000, tzinfo=UTC)
    assert json.loads(found.payload) == DATA


def test_any_text_names_a_stream_and_its_own_id_may_be_left_out_of_the_data() -> None:
    created = {"author": "alice", "message": "Hi"}
    found = read(stream="post 17", data=created)
    assert found.envelope.stream_id == found.event.post_id == id_of("post 17")
    other = read(stream="post 17", type="posts.comment_added.v1", version=2, data=COMMENT)
    assert isinstance(other.event, CommentAdded)
    assert other.event.post_id == found.event.post_id


def test_a_stream_that_has_a_natural_key_is_named_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REPOSITORIES["post"], "_id_of", str.casefold)
    created = {"author": "alice", "message": "Hi"}
    found = read(stream="Tea-1", data=created)
    assert found.envelope.stream_id == found.event.post_id == id_of_key("post", "tea-1")
    assert "1 to 200 characters" in reason(stream=" ", data=created)


def test_an_event_id_is_of_all_that_the_line_says_and_of_no_sender() -> None:
    found = read().envelope
    assert found.event_id.version == SERVER_GENERATED == found.command_id.version
    changed: list[dict[str, Any]] = [
        {"stream": "p", "data": {"author": "alice", "message": "Hi"}}, {"version": 2},
        {"at": "2019-04-07T15:13:14+02:00"}, {"actor": "bob"}, {"data": {**DATA, "message": "Ho"}},
    ]  # fmt: skip
    ids = {read(**one).envelope.event_id for one in changed}
    assert len(ids | {found.event_id}) == len(changed) + 1


def test_the_same_event_in_other_words_has_the_same_id() -> None:
    spaced = json.dumps(dict(reversed(LINE.items())), indent=1).encode()
    utc = read(at="2019-04-07T13:13:13.500000Z", stream=POST.upper())
    backwards = read(data=dict(reversed(DATA.items())))
    ids = {one.envelope.event_id for one in (read(), read(spaced), utc, backwards)}
    assert len(ids) == 1


def test_an_older_version_is_checked_as_it_is_lifted_and_stays_what_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lift(data: dict[str, Any]) -> dict[str, Any]:
        return {"post_id": data["post_id"], "author": data["by"], "message": data["text"]}

    monkeypatch.setitem(upcasting._upcasters, "posts.old.v1", ("posts.post_created.v1", lift))
    old = {"post_id": POST, "by": "alice", "text": "Hi"}
    found = read(type="posts.old.v1", data=old)
    assert found.event.message == "Hi"
    assert (found.envelope.type, json.loads(found.payload)) == ("posts.old.v1", old)
    assert "str" in reason(type="posts.old.v1", data={**old, "text": 5})


# --- what is wrong -------------------------------------------------------------------------------

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no type of ours": ({"type": "posts.nothing.v1"}, "No event is registered"),
    "no stream": ({"stream": 5}, "Expected `str`"),
    "a version of nothing": ({"version": 0}, ">= 1"),
    "a version in a string": ({"version": "1"}, "Expected `int`"),
    "a version beyond the column": ({"version": 2**31}, "<= 2147483647"),
    "a time without a zone": ({"at": "2019-04-07T15:13:13"}, "timezone"),
    "no time": ({"at": "yesterday"}, "datetime"),
    "a time before all others": ({"at": "0001-01-01T00:00:00+23:00"}, "out of range"),
    "the future": ({"at": "2026-11-28T00:00:01Z"}, "in the future"),
    "no username": ({"actor": "a b"}, "no account can have the name of its actor"),
    "no username in the data": ({"data": {**DATA, "author": "a b"}}, "name in author"),
    "a wrong value": ({"data": {**DATA, "message": 5}}, "Expected `str`"),
    "a missing field": ({"data": {"author": "alice"}}, "missing required field `message`"),
    "an unknown field": ({"data": {**DATA, "mesage": "x"}}, "has no field 'mesage'"),
    "data of another stream": ({"data": {**DATA, "post_id": str(UUID(int=9))}}, "payload is about"),
    "data that is a list": ({"data": [1]}, "Expected `object`"),
    "an unknown key": ({"event_id": POST}, "unknown field `event_id`"),
    "a surrogate": ({"data": {**DATA, "message": "\ud800"}}, "truncated"),
    "an id of a natural key": ({"stream": POST.replace("-4d", "-8d")}, "natural keys"),
}  # fmt: skip


@pytest.mark.parametrize(("changed", "why"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_line_says_why(changed: dict[str, Any], why: str) -> None:
    assert why in reason(**changed)


@pytest.mark.parametrize("key", LINE)
def test_no_key_may_be_missing(key: str) -> None:
    raw = json.dumps({name: value for name, value in LINE.items() if name != key}).encode()
    assert f"missing required field `{key}`" in reason(raw)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"no", "it is not valid JSON: Expecting value"),
        (b"[1]", "Expected `object`"), (b"\xff", "UTF-8"),
        (json.dumps(LINE).encode()[:-1] + b', "version": 2}', "same key twice"),
        (json.dumps(LINE).encode().replace(b'"Hi"', b'"Hi", "message": "x"'), "same key twice"),
        (b"[" * 100_000, "nested too deeply"), (b'{"version": NaN}', "NaN"),
    ],
)  # fmt: skip
def test_what_is_no_strict_json_says_why(raw: bytes, why: str) -> None:
    assert why in reason(raw)


def test_an_event_that_no_log_takes_is_wrong() -> None:
    said = reason(data={**DATA, "message": "x" * MAX_RECORD_BYTES})
    assert f"{MAX_RECORD_BYTES:,} are stored at most" in said


def test_a_wrong_line_names_its_place_so_that_the_next_version_is_no_gap() -> None:
    with pytest.raises(Wrong) as wrong:
        read(data={})
    assert wrong.value.place == (UUID(POST).int, 1)


@pytest.mark.parametrize(
    ("given", "stored", "unknown"),
    [
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, ""),
        ({"lines": [{"a": 1}, {"a": 1, "b": 2}]}, {"lines": [{"a": 1}, {"a": 1}]}, "lines.1.b"),
    ],
)  # fmt: skip
def test_an_unknown_field_is_found_at_any_depth(given: Any, stored: Any, unknown: str) -> None:
    assert _first_unknown(given, stored) == unknown


# --- JSON, read quickly --------------------------------------------------------------------------

pieces = st.sampled_from(
    [b"{", b"}", b"[", b"]", b",", b":", b'"a"', b'"a": 1', b"1", b"1.0", b"1e400", b" ", b"null",
     b'"\\u00e9"', "é".encode(), b'"\\ud800"', b"-0", b"9" * 30, b"\xff", b"NaN", b'"\\/"']
)  # fmt: skip
texts = st.lists(pieces, max_size=12).map(b"".join) | st.builds(
    lambda pairs: b"{" + b", ".join(b'"%s": %s' % pair for pair in pairs) + b"}",
    st.lists(st.tuples(st.sampled_from([b"a", b"b"]), pieces), max_size=4),
)


@given(texts)
def test_json_is_read_quickly_as_it_is_read_strictly(raw: bytes) -> None:
    def outcome(loads: Any) -> Any:
        try:
            return repr(loads())
        except ValueError:
            return "refused"

    assert outcome(lambda: strict_json.loads_bytes(raw)) == outcome(
        lambda: strict_json.loads(raw.decode())
    )
