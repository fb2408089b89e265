"""Lines sent by several processes: those that name the same thing keep their order."""

import json
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any
from unittest.mock import Mock
from uuid import UUID, uuid5

import pytest

from messaging.api import command_file, sending
from messaging.api.command_file import NAMESPACE, Line
from messaging.api.sending import Outcome, Refusal
from messaging.exceptions import WorkerFailed

POST = "6f7b1c62-5a0e-4d0c-9d3c-0b6f4f1f7abc"


def line(number: int = 1, **found: Any) -> Line:
    return Line(number, json.dumps(found).encode(), UUID(int=number))


def names(**found: Any) -> set[str]:
    return command_file.names(line(**found), {"actor", "sku"})


# --- what a line names ---------------------------------------------------------------------------


def test_a_line_names_the_ids_of_its_command() -> None:
    found = names(command="AddComment", actor="Bob", post="p1", comment="c1", text="Hi")
    assert found == {str(uuid5(NAMESPACE, "p1")), str(uuid5(NAMESPACE, "c1")), "actor=bob"}


def test_an_id_is_the_same_in_capitals() -> None:
    like = {"command": "LikePost", "actor": "bob"}
    assert names(**like, post=POST.upper()) == names(**like, post=POST) == {POST, "actor=bob"}


def test_a_line_names_each_uuid_and_each_key_that_was_asked_for_at_any_depth() -> None:
    more = {"lines": [{"item": POST}, {"sku": "TEA"}], "note": "x" * 36}
    found = names(command="LikePost", post="p1", **more)
    assert found == {str(uuid5(NAMESPACE, "p1")), POST, "sku=tea"}
    assert names(command="LikePost", sku=POST) == {POST, f"sku={POST}"}


@pytest.mark.parametrize("raw", [b"no", b"[1]", b'{"command": []}', b'{"command": "None"}',
    b"[" * 100_000, b"\xff", b'{"command": "LikePost", "post": "\\ud800"}',
    b'{"command": "LikePost", "post": null}'])  # fmt: skip
def test_a_line_that_is_refused_anyway_names_nothing(raw: bytes) -> None:
    assert command_file.names(Line(1, raw, UUID(int=1))) == set()


# --- who gets a line -----------------------------------------------------------------------------


@pytest.fixture
def pool() -> Iterator[tuple[sending._Pool, list[Connection]]]:
    """And the other ends of its two connections, at which this test answers."""
    pipes = [Pipe() for _ in range(2)]
    yield sending._Pool([ours for ours, _ in pipes]), [theirs for _, theirs in pipes]
    for end in (end for pipe in pipes for end in pipe):
        end.close()


def numbers(end: Connection) -> list[int]:
    found = []
    while end.poll():
        found.append(end.recv().number)
    return found


Pool = tuple[sending._Pool, list[Connection]]


def test_lines_of_one_thing_go_one_after_the_other_to_one_process(pool: Pool) -> None:
    ours, ends = pool
    for number, name in enumerate(["a", "b", "a", "b", "a"], 1):
        ours.give(line(number), {name})
    assert sorted(map(numbers, ends)) == [[1, 3, 5], [2, 4]]


def test_a_line_that_names_what_two_processes_have_waits_for_one_of_them(pool: Pool) -> None:
    ours, ends = pool
    ours.give(line(1), {"a"})
    ours.give(line(2), {"b"})
    [one], [other] = map(numbers, ends)
    assert {one, other} == {1, 2}
    done = 0 if one == 1 else 1  # whoever has a
    ends[done].send(None)  # the wait for it ends at once
    ours.give(line(3), {"a", "b"})
    assert [numbers(ends[done]), numbers(ends[1 - done])] == [[], [3]], "behind line 2"


def test_what_is_done_may_go_on_anywhere(pool: Pool) -> None:
    ours, ends = pool
    ours.give(line(1), {"a"})
    has = 0 if numbers(ends[0]) else 1
    ends[has].send(None)
    ours.receive()
    ours.give(line(2), {"b"})
    ours.give(line(3), {"a"})
    assert sorted(map(numbers, ends)) == [[2], [3]]


def test_the_first_lines_of_an_actor_are_in_order_and_later_ones_need_not_be(pool: Pool) -> None:
    """The first makes the account, with the name as it stands there."""
    ours, ends = pool
    ours.give(line(1), {"actor=bob", "a"})
    ours.give(line(2), {"actor=bob", "b"})
    first = 0 if ends[0].poll() else 1
    assert numbers(ends[first]) == [1, 2]
    ends[first].send(None)
    ours.receive()
    ours.give(line(3), {"actor=bob", "c"})
    assert numbers(ends[1 - first]) == [3]


def test_an_actor_whose_line_was_refused_may_have_no_account_yet(pool: Pool) -> None:
    ours, ends = pool
    ours.give(line(1), {"actor=bob"})
    first = 0 if ends[0].poll() else 1
    ends[first].send(Refusal("invalid", "no"))
    ours.receive()
    ours.give(line(2), {"actor=bob"})
    ours.give(line(3), {"actor=bob"})
    assert sorted([numbers(ends[first])[1:], numbers(ends[1 - first])]) in ([[], [2, 3]], [[3], []])


def test_lines_behind_one_that_failed_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be refused for want of it, and that would be remembered."""
    tried: list[int] = []

    def send(sender: sending.Sender, line: Line) -> None:
        tried.append(line.number)
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(sending.Sender, "send", send)
    monkeypatch.setattr(sending.Sender, "_together", Mock(side_effect=RuntimeError))
    monkeypatch.setattr(sending.signal, "signal", lambda *_: None)
    end = Mock(spec=Connection)
    end.recv.side_effect = [line(1), line(2), EOFError, EOFError]
    sending.serve(end)
    assert tried == [1]
    [[[said], _]] = end.send.call_args_list
    assert "the disk is full" in said


def test_lines_that_have_come_are_sent_together(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[list[int]] = []

    def send(sender: sending.Sender, lines: list[Line]) -> list[None]:
        sent.append([one.number for one in lines])
        return [None] * len(lines)

    monkeypatch.setattr(sending.Sender, "send_all", send)
    monkeypatch.setattr(sending.signal, "signal", lambda *_: None)
    monkeypatch.setattr(sending, "MAX_TOGETHER", 3)
    end = Mock(spec=Connection)
    end.recv.side_effect = [line(n) for n in range(1, 7)] + [EOFError, EOFError]
    end.poll.side_effect = [True, False, True, True, True, EOFError]
    sending.serve(end)
    assert sent == [[1, 2], [3, 4, 5], [6]]
    assert end.send.call_count == 6


def test_outcomes_come_in_the_order_of_the_lines(pool: Pool) -> None:
    ours, ends = pool
    given = [line(1), line(2)]
    for one, name in zip(given, "ab", strict=True):
        ours.give(one, {name})
    late = 0 if numbers(ends[0]) == [1] else 1
    ends[1 - late].send(Refusal("blank", "It is blank."))
    ours.receive()
    assert list(ours.in_order()) == []
    ends[late].send(None)
    ours.receive()
    refused = Outcome(given[1], Refusal("blank", "It is blank."))
    assert list(ours.in_order()) == [Outcome(given[0], None), refused]
    assert not ours.is_busy()


def test_a_process_that_ends_ends_the_sending_with_its_line(pool: Pool) -> None:
    ours, ends = pool
    ours.give(line(7), {"a"})
    for end in ends:
        end.close()
    with pytest.raises(WorkerFailed, match=r"line 7: the process .* ended"):
        ours.receive()


def test_what_is_no_refusal_ends_the_sending_with_its_line(pool: Pool) -> None:
    ours, ends = pool
    ours.give(line(7), {"a"})
    ends[0 if ends[0].poll() else 1].send("the server is away")
    with pytest.raises(WorkerFailed, match="line 7: the server is away"):
        ours.receive()
