"""Measuring against something in the same run, because the machine is noisy."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Result:
    """A row of the table."""

    name: str
    workload: str
    ours: float
    limit: float  # what it is measured against, in the same unit
    against: str
    unit: str
    target: float  # of ours / limit
    higher_is_better: bool = True

    @property
    def ratio(self) -> float:
        return self.ours / self.limit

    @property
    def met(self) -> bool:
        return self.ratio >= self.target if self.higher_is_better else self.ratio <= self.target


def rate(work: Callable[[], object], count: int) -> float:
    """Calls a second."""
    begun = time.perf_counter()
    for _ in range(count):
        work()
    return count / (time.perf_counter() - begun)


def medians(rounds: int, *parts: Callable[[], float]) -> list[float]:
    """The median of each part, over rounds in which all take their turn."""
    found: list[list[float]] = [[] for _ in parts]
    for _ in range(rounds):
        for values, part in zip(found, parts, strict=True):
            values.append(part())
    return [statistics.median(values) for values in found]
