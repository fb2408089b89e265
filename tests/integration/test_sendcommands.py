"""Files of commands: sent once, however often they are sent."""

import gzip
import io
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.actors import AccountActors
from messaging import ask, live
from messaging.api import sending
from messaging.eventstore.models import Event, Receipt, Stream
from messaging.testing import deliver_all
from messaging.testing.waiting import wait_until
from queries_app.models import SearchedText
from queries_app.projections import search
from queries_app.queries import FindAllPosts, FindComments, FindPerson, FindPostHistory
from tests.support.api import Api, errors
from tests.support.modes import Mode
from tests.support.modes import postgresql as on_the_server
from tests.support.processes import manage
from tests.support.threads import together

AT = "2005-04-07T15:13:13-07:00"
GOOD = [
    {
        "command": "NewPost",
        "actor": "alice",
        "post": "p1",
        "message": "Hi",
        "at": "2005-04-07T15:13:13-07:00",
    },
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
    (b'{"command": "LikePost", "actor": "bob", "post": "' + b"\\ud800" * 36 + b'"}', "invalid"),
    (
        b'{"command": "LikePost", "actor": "bob", "post": "p1", "\\ud800": 1, "a": NaN}',
        "invalid_line",
    ),
    (b'{"command": "LikePost", "actor": "' + b"a" * 151 + b'", "post": "p1"}', "invalid_actor"),
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


def stored() -> dict[str, list[Any]]:
    """Every row of every table of the write database, people included."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found[table] = sorted(cursor.fetchall(), key=repr)
    return found


def history() -> list[tuple[str, str, str]]:
    found = Event.objects.order_by("position").values_list("actor", "type", "data")
    return [(actor, kind, json.loads(data).get("text", "")) for actor, kind, data in found]


def send(*arguments: str) -> str:
    out = io.StringIO()
    call_command("sendcommands", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_sending_a_file_again_changes_nothing(database: Mode, file: Path) -> None:
    first, before = send(str(file)), stored()
    assert history() == [
        ("alice", "posts.post_created.v1", ""),
        ("bob", "posts.post_liked.v1", ""),
        ("bob", "posts.comment_added.v1", "x \ufffd"),
    ]
    assert {table for table, rows in before.items() if rows} >= {
        "accounts_user",
        "messaging_event",
        "messaging_outbox",
        "messaging_receipt",
        "messaging_stream",
    }
    again = send(str(file))
    assert stored() == before
    assert again.splitlines()[1:] == first.splitlines()[1:], "the same refusals"


def test_a_text_keeps_the_date_of_its_line_and_what_is_ignored_is_said(
    database: Mode, tmp_path: Path
) -> None:
    """Oldest first in the feed's order, whenever they were sent."""

    def line(command: str, at: str | None, **fields: str) -> str:
        return json.dumps({"command": command, "actor": "alice", "at": at, **fields})

    path = tmp_path / "dated.jsonl"
    path.write_text(
        "\n".join(
            [
                line("NewPost", "2007-01-01T00:00:00Z", post="new", message="Newer"),
                line("NewPost", "2005-04-07T15:13:13-07:00", post="old", message="Older"),
                line("EditMessage", "2005-04-08T00:00:00Z", post="old", message="Old"),
                line("AddComment", "2006-02-02T02:02:02.5Z", post="old", comment="c", text="A"),
                line("EditComment", None, post="old", comment="c", text="B"),
                line("LikePost", "2006-02-02T02:02:02Z", post="old", mood="good"),
                line("NewPost", "2999-01-01T00:00:00Z", message="Not yet", mood="bad"),
            ]
        )
    )
    said = send(str(path))
    assert said.splitlines()[1:3] == ["1 refused:", "  invalid: 1"]
    assert sorted(said.splitlines()[3:]) == [
        "  at of LikePost: 1",
        "  mood of LikePost: 1",
        "Ignored, because the command does not have it:",
    ]
    before = stored()
    send(str(path))
    assert stored() == before, "sent again"
    deliver_all()
    newer, older = ask(FindAllPosts()).results
    assert (newer.message, older.message) == ("Newer", "Old")
    assert older.posted_at == datetime(2005, 4, 7, 22, 13, 13, tzinfo=UTC)
    assert older.edited_at == datetime(2005, 4, 8, tzinfo=UTC)
    comment = ask(FindComments(post_id=older.post_id)).results[0]
    assert comment.commented_at == datetime(2006, 2, 2, 2, 2, 2, 500_000, tzinfo=UTC)
    assert comment.edited_at is not None
    assert comment.edited_at.year > 2020, "as it was recorded"
    assert ask(FindPerson(username="alice")).since == older.posted_at
    found = live(search, SearchedText).filter(stream_id=older.post_id)
    assert {text.posted_at for text in found} == {older.posted_at}
    assert {text.written_at.year for text in found} == {2005, 2006}
    dates = [entry.at.year for entry in ask(FindPostHistory(post_id=older.post_id)).results]
    assert dates[:3] == [2005, 2005, 2006]
    assert min(dates[3:]) > 2020
    recorded = Event.objects.values_list("recorded_at", flat=True)
    assert {at.year for at in recorded} == {max(dates)}, "when they were stored stays known"


def test_nobody_dates_a_text_by_the_api(sqlite: Mode) -> None:
    for name in ("at", "written_at"):
        answer = Api("alice").send("new-post", message="Hi", **{name: "2005-04-07T15:13:13Z"})
        assert (answer.status_code, errors(answer)) == (400, [("unknown_field", name)])


def test_each_refused_line_is_reported_with_its_number_and_reason(
    database: Mode, file: Path, tmp_path: Path
) -> None:
    out = send(str(file), "--rejects", str(tmp_path / "rejects"))
    found = [json.loads(line) for line in (tmp_path / "rejects").read_text().splitlines()]
    assert [line["code"] for line in found] == [code for _, code in BAD]
    assert [line["line"] for line in found] == [1, *range(7, 7 + len(BAD) - 1)]
    assert all(line["reason"] for line in found)
    assert f"{len(BAD)} refused" in out
    assert "invalid_line: 7" in out


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


def test_a_file_that_broke_off_is_sent_to_its_end_by_sending_it_again(
    database: Mode, file: Path, tmp_path: Path
) -> None:
    part = tmp_path / "part.jsonl"
    part.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:3]))
    send(str(part))
    assert len(history()) == 2
    receipts = set(Receipt.objects.values_list("actor", "command_id", "outcome"))
    send(str(file))
    assert len(history()) == 3
    assert set(Receipt.objects.values_list("actor", "command_id", "outcome")) > receipts


def test_other_line_ends_are_the_same_commands(sqlite: Mode, file: Path) -> None:
    send(str(file))
    before = stored()
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n").removesuffix(b"\r\n"))
    send(str(file))
    assert stored() == before


def test_a_file_that_is_sent_twice_at_once_is_carried_out_once(database: Mode, file: Path) -> None:
    results = together(*[lambda: send(str(file)).splitlines()[1:]] * 3)
    assert results[0] == results[1] == results[2], "the same refusals"
    assert f"{len(BAD)} refused:" in results[0]
    assert len(history()) == 3
    before = stored()
    send(str(file))
    assert stored() == before


def test_a_person_whom_several_make_at_once_is_one_person(database: Mode) -> None:
    names = ["newbie", "Newbie", "newbie", "NEWBIE"]
    found = together(*(lambda name=name: AccountActors().username(name) for name in names))  # type: ignore[misc]
    assert found == [get_user_model().objects.get().username] * 4


def test_who_had_an_account_before_keeps_it(database: Mode, file: Path) -> None:
    bob = get_user_model().objects.create_user("BOB", password="a secret of bob's")
    send(str(file))
    assert {event.actor for event in Event.objects.all()} == {"alice", "BOB"}
    bob.refresh_from_db()
    assert bob.has_usable_password()


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


def test_rejects_that_cannot_be_written_are_wrong_usage(sqlite: Mode, file: Path) -> None:
    with pytest.raises(CommandError) as error:
        send(str(file), "--rejects", str(file.parent / "nowhere" / "rejects"))
    assert error.value.returncode == 2
    assert Event.objects.count() == 0, "before anything is sent"


@pytest.mark.parametrize("names", ["same", "link", "hard link", "standard input"])
def test_rejects_onto_the_file_that_is_read_are_wrong_usage(
    sqlite: Mode, file: Path, names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening it to write would have emptied it."""
    before, source, rejects = file.read_bytes(), str(file), file
    if names in ("link", "hard link"):
        rejects = file.parent / "rejects"
        rejects.symlink_to(file) if names == "link" else rejects.hardlink_to(file)
    with file.open() as standard_input:
        if names == "standard input":
            monkeypatch.setattr("sys.stdin", standard_input)
            source = "-"
        with pytest.raises(CommandError, match="is the file that is read") as error:
            send(source, "--rejects", str(rejects))
    assert error.value.returncode == 2
    assert (file.read_bytes(), Event.objects.count()) == (before, 0)


def test_the_exit_code_says_what_happened(sqlite: Mode, file: Path) -> None:
    wrong = [manage(sqlite.env, "sendcommands", *names) for names in (["nowhere.jsonl"], [])]
    assert [done.returncode for done in wrong] == [2, 2]
    assert "nowhere.jsonl: No such file" in wrong[0].stderr
    done = manage(sqlite.env, "sendcommands", str(file))
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert f"{len(BAD)} refused" in done.stdout


@pytest.fixture
def one_line(postgresql: Mode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sending, "AGAIN_AFTER_S", 0)
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps({"command": "NewPost", "actor": "alice", "message": "Hi"}))
    return str(path)


def test_a_line_that_met_a_read_only_session_is_sent_again_on_a_new_one(one_line: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    errors = io.StringIO()
    call_command("sendcommands", one_line, stdout=io.StringIO(), stderr=errors)
    assert errors.getvalue().count("Line 1: ") == errors.getvalue().count("Trying again") == 1
    assert Event.objects.count() == 1


def test_a_database_that_stays_read_only_ends_it_with_what_to_do(
    one_line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "AWAY_FOR_S", 0)
    name = connection.settings_dict["NAME"]
    on_the_server(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    connection.close()
    with pytest.raises(CommandError, match=r"Ask on the primary .* 0 lines were sent\. Send the"):
        send(one_line)


def test_what_is_refused_is_not_sent_again(sqlite: Mode, tmp_path: Path) -> None:
    path = tmp_path / "refused.jsonl"
    path.write_bytes(BAD[0][0])
    errors = io.StringIO()
    call_command("sendcommands", str(path), stdout=io.StringIO(), stderr=errors)
    assert errors.getvalue() == ""


def test_a_damaged_archive_says_how_far_it_came(sqlite: Mode, file: Path, tmp_path: Path) -> None:
    packed = tmp_path / "damaged.jsonl.gz"
    packed.write_bytes(gzip.compress(file.read_bytes())[:-20])
    with pytest.raises(CommandError, match="lines were sent") as error:
        send(str(packed))
    assert error.value.returncode == 1


def test_what_can_be_read_of_a_damaged_archive_is_sent(sqlite: Mode, tmp_path: Path) -> None:
    """As it was sent when each line was sent by itself."""
    new = {"command": "NewPost", "actor": "bob"}
    posts = [json.dumps({**new, "message": token_hex(99)}) for _ in range(20)]
    archive = tmp_path / "commands.gz"
    archive.write_bytes(gzip.compress("\n".join(posts).encode())[:-600])
    with pytest.raises(CommandError) as raised:
        send(str(archive))
    assert 10 < Event.objects.count() < 20
    assert f"{Event.objects.count()} lines were sent" in str(raised.value)


def test_a_line_of_a_named_pipe_waits_for_no_other(sqlite: Mode, tmp_path: Path) -> None:
    pipe = tmp_path / "commands"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("w", buffering=1) as lines:
            lines.write('{"command": "NewPost", "actor": "bob", "message": "Hi"}\n')
            wait_until(Event.objects.exists, "the post is stored")

    [error] = together(write, lambda: send(str(pipe)))[:1]
    assert error is None


def test_a_file_that_is_no_archive_says_so(sqlite: Mode, file: Path) -> None:
    renamed = file.rename(file.with_suffix(".gz"))
    with pytest.raises(CommandError, match="0 lines were sent"):
        send(str(renamed))
