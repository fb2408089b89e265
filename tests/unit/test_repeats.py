"""What repeats for ever is a warning, said once a minute."""

import logging

import pytest

from messaging.workers import repeats
from messaging.workers.repeats import SAY_EVERY_S, Repeats

log = logging.getLogger("postlog.test")
Said = list[tuple[int, str]]


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(repeats, "time", clock)
    return clock


def said(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> Said:
    found = [(one.levelno, one.getMessage()) for one in caplog.records if one.levelno >= level]
    caplog.clear()
    return found


def test_a_line_is_said_at_once_and_then_once_a_minute(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "postlog.test")
    lines = Repeats(log)
    lines.say(logging.WARNING, "relay: connection refused", "Trying again in 0.2 s.")
    assert said(caplog) == [
        (logging.WARNING, "relay: connection refused. Trying again in 0.2 s."),
    ]
    for _ in range(5):
        clock.now += SAY_EVERY_S / 6
        lines.say(logging.WARNING, "relay: connection refused", "Trying again in 10.0 s.")
    assert said(caplog) == []
    clock.now += SAY_EVERY_S / 6
    lines.say(logging.WARNING, "relay: connection refused", "Trying again in 10.0 s.")
    assert said(caplog) == [
        (
            logging.WARNING,
            "relay: connection refused. Trying again in 10.0 s. (5 times since it was last said)",
        )
    ]


def test_what_is_no_warning_once_is_one_when_it_repeats(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "postlog.test")
    lines = Repeats(log)
    for _ in range(3):
        lines.say(logging.INFO, "another consumer was first", "1 of 3")
        clock.now += SAY_EVERY_S / 2
    assert [level for level, _ in said(caplog)] == [logging.INFO, logging.WARNING]
    clock.now += SAY_EVERY_S
    lines.say(logging.INFO, "another consumer was first", "1 of 3")
    assert [level for level, _ in said(caplog)] == [logging.INFO], "it had not repeated"


def test_another_line_does_not_wait(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "postlog.test")
    lines = Repeats(log)
    for what in ("relay: connection refused", "relay: read-only", "relay: connection refused"):
        lines.say(logging.WARNING, what, "Trying again.")
    assert len(said(caplog)) == 2


def test_each_time_is_there_for_whoever_debugs(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "postlog.test")
    lines = Repeats(log)
    for _ in range(3):
        lines.say(logging.WARNING, "relay: connection refused", "Trying again.")
    assert len(said(caplog, logging.DEBUG)) == 3


def test_what_was_said_long_ago_is_forgotten(clock: Clock) -> None:
    lines = Repeats(log)
    for number in range(100):
        lines.say(logging.DEBUG, f"address {number}", "Trying again.")
    clock.now += 2 * SAY_EVERY_S
    lines.say(logging.DEBUG, "address 100", "Trying again.")
    assert len(lines._said) == 1
