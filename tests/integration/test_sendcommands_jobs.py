"""Files of commands sent by several processes."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from messaging.eventstore.models import Event, Receipt
from messaging.testing.waiting import wait_until
from tests.support.modes import Mode
from tests.support.processes import Worker, here, manage

EDITS = 15
POSTS = ["p1", "p2", "p3"]


def lines() -> list[dict[str, Any]]:
    """Each line depends on earlier ones, and those of three posts alternate."""
    found: list[dict[str, Any]] = [
        {"command": "NewPost", "actor": f"Author{n}", "post": post, "message": "Hi"}
        for n, post in enumerate(POSTS)
    ]
    found += [
        {"command": "EditMessage", "actor": f"author{n}", "post": post, "message": f"edit {edit}"}
        for edit in range(EDITS)
        for n, post in enumerate(POSTS)
    ]
    found.insert(7, {"command": "LikePost", "actor": "bob", "post": "nowhere"})
    found.append({"command": "NoCommand", "actor": "bob"})
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "commands.jsonl"
    path.write_text("\n".join(map(json.dumps, lines())))
    return path


def messages() -> dict[str, list[str]]:
    """The texts of each post, by its stream, in the order of its versions."""
    found: dict[str, list[str]] = {}
    for stream_id, data in Event.objects.order_by("version").values_list("stream_id", "data"):
        found.setdefault(str(stream_id), []).append(json.loads(data)["message"])
    return found


def test_several_processes_do_what_one_does(sqlite: Mode, file: Path, tmp_path: Path) -> None:
    rejects = [tmp_path / "first", tmp_path / "again"]
    sent = manage(
        sqlite.env, "sendcommands", "--jobs", "2", "--rejects", str(rejects[0]), str(file)
    )
    assert (sent.returncode, "Traceback" in sent.stderr) == (0, False), sent.stderr
    expected = ["Hi", *(f"edit {edit}" for edit in range(EDITS))]
    assert list(messages().values()) == [expected] * len(POSTS)
    assert sorted(Event.objects.values_list("actor", flat=True).distinct()) == [
        f"Author{n}" for n in range(len(POSTS))
    ]
    refused = [json.loads(one) for one in rejects[0].read_text().splitlines()]
    assert [(one["line"], one["code"]) for one in refused] == [
        (8, "post_not_found"), (len(lines()), "unknown_command"),
    ]  # fmt: skip
    before = (Event.objects.count(), Receipt.objects.count())
    one_by_one = here("sendcommands", "--rejects", str(rejects[1]), str(file))
    assert one_by_one.stdout.splitlines()[1:] == sent.stdout.splitlines()[1:]
    assert rejects[1].read_text() == rejects[0].read_text()
    assert (Event.objects.count(), Receipt.objects.count()) == before


@pytest.fixture
def halfway(postgresql: Mode, file: Path, tmp_path: Path) -> Iterator[Worker]:
    """Two processes that are sending, and get no more lines than half of the file's."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    arguments = ["--jobs", "2", str(pipe)]
    with Worker(postgresql.env, "sendcommands", *arguments) as worker, pipe.open("w") as end:
        half = file.read_text().splitlines()[: EDITS * len(POSTS) // 2]
        end.write("\n".join(half) + "\n")
        end.flush()
        wait_until(lambda: Event.objects.count() > len(POSTS), "some are sent", 60)
        yield worker


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_a_sending_that_was_stopped_is_completed_by_sending_the_file_again(
    halfway: Worker, file: Path, signum: int
) -> None:
    mine = children(halfway.process.pid)
    assert len(mine) >= 2
    if signum == signal.SIGINT:
        os.killpg(halfway.process.pid, signum)  # as a terminal does: the whole group
    else:
        os.kill(halfway.process.pid, signum)
    assert halfway.wait() != 0
    wait_until(lambda: not any(map(is_there, mine)), "the processes end with their parent")
    assert here("sendcommands", str(file)).returncode == 0
    expected = ["Hi", *(f"edit {edit}" for edit in range(EDITS))]
    assert list(messages().values()) == [expected] * len(POSTS)
    assert Receipt.objects.count() == len(lines()) - 1, "all but the line that is no command"


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("jobs", ["0", "-1"])
def test_no_jobs_are_wrong_usage(sqlite: Mode, file: Path, jobs: str) -> None:
    with pytest.raises(CommandError, match="from 1") as error:
        call_command("sendcommands", "--jobs", jobs, str(file))
    assert error.value.returncode == 2
    assert Event.objects.count() == 0
