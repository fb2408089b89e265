"""Looking at a log from whose beginning records are being deleted."""

import logging
from collections.abc import Callable
from typing import TypeVar

from messaging.bus.base import Bus
from messaging.exceptions import HistoryMismatch

T = TypeVar("T")

log = logging.getLogger("postlog.log")


def undisturbed(bus: Bus, look: Callable[[Bus], T]) -> T:
    """Look again if the log's beginning has moved meanwhile and the look failed: what it was
    about to read was deleted, which is no contradiction."""
    while True:
        firsts = bus.begin_offsets()
        try:
            return look(bus)
        except HistoryMismatch:
            if bus.begin_offsets() == firsts:
                raise
            log.info("The first records of the log were deleted meanwhile: looking again.")
