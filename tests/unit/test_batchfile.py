"""Lines of commands: what each becomes, and its id, which is the same whenever it is read."""

import json
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands_app.commands import AddComment, EditComment, LikePost, NewPost
from messaging.api import command_file
from messaging.api.command_file import NAMESPACE, Line, Request
from messaging.exceptions import Invalid

LIKE = b'{"command": "LikePost", "actor": "bob", "post": "p1"}'


def line(**found: Any) -> Line:
    return Line(1, json.dumps(found).encode(), UUID(int=1))


def ids(*raw: bytes) -> list[UUID]:
    return [one.command_id for one in command_file.lines(raw)]


# --- lines and their ids -----------------------------------------------------------------------


def test_the_same_file_has_the_same_ids() -> None:
    file = [LIKE, b"{}", LIKE]
    assert ids(*file) == ids(*file)


def test_each_occurrence_of_a_line_is_a_command_of_its_own() -> None:
    assert len(set(ids(LIKE, LIKE, LIKE))) == 3


def test_an_id_is_of_the_line_and_not_of_its_place() -> None:
    first, second = ids(LIKE, LIKE)
    assert ids(b"{}", LIKE, b"[]", LIKE)[1::2] == [first, second]


def test_an_id_stays_what_it_was_in_earlier_releases() -> None:
    # Given in numbers: a change of the rule would send every file that was sent before again.
    assert ids(LIKE, LIKE) == [
        UUID("d65ca2de-e27f-5e44-814b-3d4454b471d4"),
        UUID("680988ba-0e5d-5e9a-80bf-9570795aa9f7"),
    ]


def test_line_ends_and_the_last_line_make_no_difference() -> None:
    assert ids(LIKE + b"\n") == ids(LIKE + b"\r\n") == ids(LIKE)


@pytest.mark.parametrize("other", [LIKE + b" ", b" " + LIKE, LIKE.replace(b": ", b":")])
def test_a_line_is_its_bytes_and_not_what_it_says(other: bytes) -> None:
    assert ids(other) != ids(LIKE)


def test_blank_lines_are_passed_over_and_counted() -> None:
    found = command_file.lines([b"\n", LIKE + b"\n", b" \t\r\n", LIKE])
    assert [(one.number, one.raw) for one in found] == [(2, LIKE), (4, LIKE)]


# --- what a line becomes -------------------------------------------------------------------------


def test_a_line_becomes_its_command() -> None:
    post, comment = UUID(int=7), UUID(int=8)
    found = command_file.parse(
        line(command="AddComment", actor="bob", post=str(post), comment=str(comment), text="Hi")
    )
    assert found == Request("bob", AddComment(post_id=post, comment_id=comment, text="Hi"))


def test_what_is_no_uuid_becomes_one_of_its_text() -> None:
    found = command_file.parse(line(command="LikePost", actor="bob", post="any-id"))
    assert found.command == LikePost(post_id=uuid.uuid5(NAMESPACE, "any-id"))


@pytest.mark.parametrize("text", ["", " ", "x" * 36, "{" + str(UUID(int=7)) + "}", "\0", "é👍"])
def test_any_text_is_an_id(text: str) -> None:
    found = command_file.parse(line(command="LikePost", actor="bob", post=text))
    assert found.command == LikePost(post_id=uuid.uuid5(NAMESPACE, text))


def test_a_uuid_is_the_same_in_capitals() -> None:
    post = UUID("6f7b1c62-5a0e-4d0c-9d3c-0b6f4f1f7abc")
    found = command_file.parse(line(command="LikePost", actor="bob", post=str(post).upper()))
    assert found.command == LikePost(post_id=post)


def test_keys_that_a_command_does_not_have_are_passed_over() -> None:
    more = {"at": "yesterday", "comment": 5, "post_id": 5, "nested": {"a": [1]}}
    found = command_file.parse(line(command="LikePost", actor="bob", post=str(UUID(int=7)), **more))
    assert found.command == LikePost(post_id=UUID(int=7))


@pytest.mark.parametrize("more", [{}, {"post": None}])
def test_an_optional_key_may_be_missing_or_null(more: dict[str, None]) -> None:
    found = command_file.parse(line(command="NewPost", actor="bob", message="Hi", **more))
    assert found.command == NewPost(message="Hi", post_id=None)


def test_text_is_handed_on_as_it_is() -> None:
    for text in (" a\r\n", "\u200b", ""):  # the rules stand in commands_app/post.py alone
        found = command_file.parse(line(command="NewPost", actor="bob", message=text))
        assert found.command == NewPost(message=text)


@pytest.mark.parametrize("text", ["\0", "\ud800"])
def test_text_that_no_database_takes_is_refused_as_the_api_does(text: str) -> None:
    with pytest.raises(Invalid, match=r'^"message": .* not allowed') as refused:
        command_file.parse(line(command="NewPost", actor="bob", message=text))
    assert refused.value.attr == "message"


REFUSED: dict[str, tuple[bytes, str, str | None]] = {
    "no JSON": (b"hello", "invalid_line", None),
    "cut short": (LIKE[:-1], "invalid_line", None),
    "two objects": (LIKE + LIKE, "invalid_line", None),
    "a byte order mark": (b"\xef\xbb\xbf" + LIKE, "invalid_line", None),
    "invalid UTF-8": (LIKE.replace(b"bob", b"\xff"), "invalid_line", None),
    "a lone surrogate in UTF-8": (LIKE.replace(b"bob", b"\xed\xa0\x80"), "invalid_line", None),
    "UTF-16": (LIKE.decode().encode("utf-16"), "invalid_line", None),
    "deep": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "invalid_line", None),
    "deep and never closed": (b"[" * 100_000, "invalid_line", None),
    "5,000 digits": (b'{"a": ' + b"9" * 5_000 + b"}", "invalid_line", None),
    "not a number": (b'{"a": NaN}', "invalid_line", None),
    "1e400": (b'{"a": 1e400}', "invalid_line", None),
    "a key twice": (LIKE.replace(b'"actor"', b'"post": "p2", "actor"'), "invalid_line", None),
    "a list": (b"[1]", "invalid_line", None),
    "a string": (b'"LikePost"', "invalid_line", None),
    "null": (b"null", "invalid_line", None),
    "no command": (b'{"actor": "bob"}', "unknown_command", None),
    "another command": (b'{"command": "DropTable", "actor": "bob"}', "unknown_command", None),
    "a query": (b'{"command": "FindAllPosts", "actor": "bob"}', "unknown_command", None),
    "a list as command": (b'{"command": ["NewPost"], "actor": "bob"}', "unknown_command", None),
    "a surrogate as command": (b'{"command": "\\ud800", "actor": "b"}', "unknown_command", None),
    "no actor": (b'{"command": "LikePost", "post": "p1"}', "invalid_actor", None),
    "a number as actor": (LIKE.replace(b'"bob"', b"5"), "invalid_actor", None),
    "null as actor": (LIKE.replace(b'"bob"', b"null"), "invalid_actor", None),
    "no post": (b'{"command": "LikePost", "actor": "bob"}', "required", "post_id"),
    "null as post": (LIKE.replace(b'"p1"', b"null"), "invalid", "post_id"),
    "a number as post": (LIKE.replace(b'"p1"', b"5"), "invalid", "post_id"),
    "a surrogate as post": (LIKE.replace(b"p1", b"\\ud800"), "invalid", "post_id"),
    "36 surrogates as post": (LIKE.replace(b"p1", b"\\ud800" * 36), "invalid", "post_id"),
    "no text": (b'{"command": "NewPost", "actor": "bob"}', "required", "message"),
    "a number as text": (
        b'{"command": "NewPost", "actor": "bob", "message": 12345}',
        "invalid",
        "message",
    ),
    "a list as text": (
        b'{"command": "NewPost", "actor": "bob", "message": ["Hi"]}',
        "invalid",
        "message",
    ),
}


@pytest.mark.parametrize(("raw", "code", "attr"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_line_is_refused_with_a_reason(raw: bytes, code: str, attr: str | None) -> None:
    with pytest.raises(Invalid) as refused:
        command_file.parse(Line(1, raw, UUID(int=1)))
    assert (refused.value.code, refused.value.attr) == (code, attr)
    assert 0 < len(refused.value.detail) < 300


def test_a_surrogate_as_an_unknown_key_is_passed_over() -> None:
    raw = LIKE.replace(b'"actor"', b'"\\ud800": 1, "actor"')
    assert command_file.parse(Line(1, raw, UUID(int=1))).actor == "bob"


def test_a_comment_is_named_as_a_post_is() -> None:
    found = command_file.parse(
        line(command="EditComment", actor="bob", post="p1", comment="c1", text="x")
    )
    post, comment = (uuid.uuid5(NAMESPACE, text) for text in ("p1", "c1"))
    assert found.command == EditComment(post_id=post, comment_id=comment, text="x")


any_text = st.text(st.characters()) | st.text(st.characters(), min_size=36, max_size=36)
values = st.none() | st.booleans() | st.integers() | any_text | st.lists(any_text, max_size=2)
keys = st.sampled_from(["command", "actor", "post", "comment", "message", "text", "at", "\ud800"])
commands = st.sampled_from(["NewPost", "LikePost", "AddComment", "EditComment", "NoCommand"])
found_lines = st.dictionaries(keys, values).flatmap(
    lambda found: commands.map(lambda name: json.dumps({**found, "command": name}).encode())
)


@given(st.binary() | found_lines)
def test_any_line_is_a_command_or_refused(raw: bytes) -> None:
    with suppress(Invalid):
        assert isinstance(command_file.parse(Line(1, raw, UUID(int=1))).actor, str)


@dataclass(frozen=True, kw_only=True)
class OpenLoan:
    loan_id: UUID
    amount: int
    until: date | None = None
    guarantors: list[str] = field(default_factory=list)


def loan_of(line: dict[str, Any]) -> Any:
    raw = json.dumps({"command": "OpenLoan", "actor": "dora", "loan": "l1", **line}).encode()
    return command_file.parse(Line(1, raw, uuid.uuid4())).command


def test_a_commands_keys_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(command_file.COMMANDS, "OpenLoan", OpenLoan)
    assert command_file.keys("OpenLoan") == ["loan", "amount", "[until]", "[guarantors]"]


def test_a_command_may_have_fields_of_any_type_that_json_can_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(command_file.COMMANDS, "OpenLoan", OpenLoan)
    found = loan_of({"amount": 5, "until": "2026-11-27", "guarantors": ["ed"]})
    assert (found.amount, found.until, found.guarantors) == (5, date(2026, 11, 27), ["ed"])
    assert loan_of({"amount": 5, "until": None}).until is None


@pytest.mark.parametrize(
    "wrong", [{"amount": "5"}, {"amount": 5.5}, {"amount": 5, "until": "soon"},
              {"amount": 5, "guarantors": [1]}]
)  # fmt: skip
def test_a_value_of_another_type_is_refused_by_its_name(
    wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(command_file.COMMANDS, "OpenLoan", OpenLoan)
    with pytest.raises(Invalid, match=f'^"{list(wrong)[-1]}[.0]*": '):
        loan_of(wrong)
