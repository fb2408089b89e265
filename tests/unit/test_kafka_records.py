"""What Kafka's client returned, as records with the offsets before them that hold none."""

from types import SimpleNamespace

import pytest

from messaging.bus.kafka.subscription import _records
from messaging.exceptions import HistoryMismatch


def polled(*offsets: int) -> list[SimpleNamespace]:
    return [
        SimpleNamespace(partition=3, offset=at, key=b"k", value=b"v", headers=[]) for at in offsets
    ]


@pytest.mark.parametrize(
    ("expected", "offsets", "gaps"),
    [
        (5, [5, 6, 7], [0, 0, 0]),
        (5, [7, 8], [2, 0]),
        (5, [5, 7, 8, 11], [0, 1, 0, 2]),
        (5, [6, 7], [1, 0]),  # as dense as what follows from 6
    ],
)
def test_a_gap_is_counted_from_the_offset_that_was_asked_for(
    expected: int, offsets: list[int], gaps: list[int]
) -> None:
    records = _records(polled(*offsets), expected)
    assert [(one.offset, one.gap) for one in records] == list(zip(offsets, gaps, strict=True))


@pytest.mark.parametrize("offsets", [[4, 5, 6], [4, 5, 7], [5, 6, 6], [5, 7, 6]])
def test_an_offset_that_was_passed_already_is_a_loss(offsets: list[int]) -> None:
    with pytest.raises(HistoryMismatch, match="Partition 3: asked for offset"):
        _records(polled(*offsets), 5)
