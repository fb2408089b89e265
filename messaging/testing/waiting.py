"""Wait for a condition, with a deadline, instead of for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
MAX_PAUSE_S = 0.1  # between two looks


def wait_until(condition: Callable[[], T], what: str, deadline_s: float = 30) -> T:
    """Return the first true value of the condition; fail with what it was when time is up.

    Looks less often the longer it takes: what is waited for needs the CPU.

        wait_until(lambda: live(orders, Order).exists(), "the order is shown")
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
