"""How many threads may wait for the lock of one stream."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag

import pytest

from messaging.eventstore import wait_slots
from messaging.eventstore.wait_slots import STUCK_AFTER_S, WaitSlots
from messaging.exceptions import StreamBusy


def test_a_thread_without_a_slot_is_refused_when_nothing_moves() -> None:
    slots = WaitSlots(2)
    with slots.take("hot"), slots.take("hot"):
        begun = time.monotonic()
        with pytest.raises(StreamBusy), slots.take("hot"):
            pass
        assert time.monotonic() - begun >= STUCK_AFTER_S * 0.9
        with pytest.raises(StreamBusy), slots.take("hot"):
            pass  # at once from now on
        with slots.take("another"):
            pass
    with slots.take("hot"):
        pass


def test_a_long_queue_that_moves_refuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_slots, "STUCK_AFTER_S", 2.0)  # so long a machine is not busy
    slots, people = WaitSlots(1), 24

    def pass_through() -> None:
        with slots.take("hot"):
            Flag().wait(0.1)

    with ThreadPoolExecutor(people) as pool:
        for done in [pool.submit(pass_through) for _ in range(people)]:
            done.result()
    assert not slots._entered
