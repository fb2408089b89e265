"""Places to wait for the lock of one stream."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag

import pytest

from messaging.eventstore.crowd import STUCK_AFTER_S, Crowd
from messaging.exceptions import StreamBusy


def test_whoever_finds_no_place_is_refused_when_the_line_does_not_move() -> None:
    crowd = Crowd(2)
    with crowd.place("hot"), crowd.place("hot"):
        begun = time.monotonic()
        with pytest.raises(StreamBusy), crowd.place("hot"):
            pass
        assert time.monotonic() - begun >= STUCK_AFTER_S * 0.9
        with pytest.raises(StreamBusy), crowd.place("hot"):
            pass  # at once from now on
        with crowd.place("another"):
            pass
    with crowd.place("hot"):
        pass


def test_a_long_line_that_moves_refuses_nobody() -> None:
    crowd, people = Crowd(1), 40

    def pass_through() -> None:
        with crowd.place("hot"):
            Flag().wait(STUCK_AFTER_S / 20)

    with ThreadPoolExecutor(people) as pool:
        for done in [pool.submit(pass_through) for _ in range(people)]:
            done.result()
    assert not crowd._entered
