"""Files of commands: sent once, however often they are sent."""

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from messaging.eventstore.models import Event, Outbox, Receipt, Stream
from tests.support.modes import Mode

GOOD = [
    {"command": "NewPost", "actor": "alice", "post": "p1", "message": "Hi", "at": "yesterday"},
    {"command": "LikePost", "actor": "bob", "post": "p1"},
    {"command": "AddComment", "actor": "Bob", "post": "p1", "comment": "c1", "text": "x \ufffd"},
    {"command": "LikePost", "actor": "bob", "post": "p1"},
]
BAD: list[tuple[bytes, str]] = [
    (b'{"command": "LikePost", "actor": "bob", "post": "not yet"}', "post_not_found"),
    (b'{"command": "EditMessage", "actor": "bob", "post": "p1", "message": "x"}', "not_author"),
    (b'{"command": "NewPost", "actor": "alice", "post": "p1", "message": "again"}', "post_exists"),
    (b'{"command": "NewPost", "actor": "alice", "post": "p9", "message": " "}', "blank"),
    (b'{"command": "NewPost", "actor": "alice", "post": "p9", "message": 5}', "invalid"),
    (b'{"command": "NewPost", "actor": "alice", "post": "p9"}', "required"),
    (b'{"command": "NewPost", "actor": "a b", "message": "x"}', "invalid_actor"),
    (b'{"command": "NewPost", "actor": "", "message": "x"}', "invalid_actor"),
    (b'{"command": "NewPost", "actor": 5, "message": "x"}', "invalid_actor"),
    (b'{"command": "NewPost", "actor": "\\ud800", "message": "x"}', "invalid_actor"),
    (b'{"command": "LikePost", "actor": "bob", "post": "\\ud800"}', "invalid"),
    (
        b'{"command": "NewPost", "actor": "bob", "message": "\\ud800"}',
        "surrogate_characters_not_allowed",
    ),
    (b'{"command": "DropTable", "actor": "bob"}', "unknown_command"),
    (b'{"command": ["NewPost"], "actor": "bob"}', "unknown_command"),
    (b"no json", "invalid_line"),
    (b"[1]", "invalid_line"),
    (b'{"command": "\xff"}', "invalid_line"),
    (b"[" * 100_000, "invalid_line"),
    (b'{"a": ' + b"9" * 5_000 + b"}", "invalid_line"),
    (b'{"a": 1, "a": 2}', "invalid_line"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    lines = [
        BAD[0][0],
        *(json.dumps(line).encode() for line in GOOD),
        b"",
        *(b[0] for b in BAD[1:]),
    ]
    path = tmp_path / "commands.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def stored() -> list[list[Any]]:
    return [
        list(model.objects.order_by("pk").values()) for model in (Stream, Event, Outbox, Receipt)
    ]


def send(*arguments: str) -> str:
    out = io.StringIO()
    call_command("sendcommands", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_sending_a_file_again_changes_nothing(database: Mode, file: Path) -> None:
    first, before = send(str(file)), stored()
    assert Event.objects.count() == 3
    again = send(str(file))
    assert stored() == before
    assert again.splitlines()[1:] == first.splitlines()[1:], "the same refusals"


def test_each_refused_line_is_reported_with_its_number_and_reason(
    database: Mode, file: Path, tmp_path: Path
) -> None:
    out = send(str(file), "--rejects", str(tmp_path / "rejects"))
    found = [json.loads(line) for line in (tmp_path / "rejects").read_text().splitlines()]
    assert [line["code"] for line in found] == [code for _, code in BAD]
    assert [line["line"] for line in found] == [1, *range(7, 7 + len(BAD) - 1)]
    assert all(line["reason"] for line in found)
    assert f"{len(BAD)} refused" in out
    assert "invalid_line: 6" in out


def test_an_unknown_actor_becomes_an_account_that_nobody_can_sign_in_to(
    sqlite: Mode, file: Path
) -> None:
    send(str(file))
    people = {user.username: user for user in get_user_model().objects.all()}
    assert sorted(people) == ["alice", "bob"], "names are unique regardless of case"
    assert not people["bob"].has_usable_password()
    assert Event.objects.get(version=3).actor == "bob"


def test_a_compressed_file_and_standard_input_are_the_same_commands(
    sqlite: Mode, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(str(file))
    before = stored()
    packed = tmp_path / "commands.jsonl.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    send(str(packed))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    send("-")
    assert stored() == before


def test_the_same_line_twice_is_two_commands(sqlite: Mode, tmp_path: Path) -> None:
    path = tmp_path / "twice.jsonl"
    line = json.dumps({"command": "NewPost", "actor": "alice", "message": "Hi"})
    path.write_text(f"{line}\n{line}\n")
    for _ in range(2):
        send(str(path))
    assert Stream.objects.count() == 2


def test_a_file_that_is_not_there_is_wrong_usage(sqlite: Mode) -> None:
    with pytest.raises(CommandError) as error:
        send("nowhere.jsonl")
    assert error.value.returncode == 2


def test_a_damaged_archive_says_how_far_it_came(sqlite: Mode, file: Path, tmp_path: Path) -> None:
    packed = tmp_path / "damaged.jsonl.gz"
    packed.write_bytes(gzip.compress(file.read_bytes())[:-20])
    with pytest.raises(CommandError, match="lines were sent"):
        send(str(packed))
