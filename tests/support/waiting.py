"""Waiting for a condition, with a deadline. No test sleeps for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
MAX_PAUSE_S = 0.1  # between two looks


def wait_until(condition: Callable[[], T], what: str, deadline_s: float = 30) -> T:
    """Return the first true value of the condition; fail with what it was when time is up.

    Looks less often the longer it takes: what is waited for needs the CPU.
    """
    begun = time.monotonic()
    end = begun + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what} (last: {value!r})")
        time.sleep(min(0.02 + (time.monotonic() - begun) / 40, MAX_PAUSE_S))
