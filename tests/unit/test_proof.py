"""What names a record of the log: a proof by what it says, a rejection by its place as well."""

from uuid import uuid4

import pytest

from messaging.bus.base import LogRecord
from messaging.bus.rejected import is_rejected
from messaging.exceptions import HistoryMismatch
from messaging.projections.consuming.transaction import require_dense
from messaging.proof import digest_of

RECORD = LogRecord(3, 7, b"key", b"value")


def test_a_digest_is_of_key_and_value_wherever_they_stand() -> None:
    others = [{"key": b"value"}, {"value": b"key"}, {"key": None}, {"value": None}]
    digests = {digest_of(RECORD._replace(**other)) for other in others}
    assert len(digests | {digest_of(RECORD)}) == 5
    assert digest_of(RECORD._replace(partition=0, offset=0, gap=2)) == digest_of(RECORD)


@pytest.mark.parametrize("other", [{"partition": 4}, {"offset": 8}, {"value": uuid4().bytes}])
def test_a_rejection_is_of_one_record_at_one_place(other: dict[str, object]) -> None:
    rejected = {(3, 7, digest_of(RECORD))}
    assert is_rejected(RECORD, rejected)
    assert not is_rejected(RECORD._replace(**other), rejected)


@pytest.mark.parametrize(
    ("checkpoint", "found"),
    [
        (7, [(7, 0), (8, 0)]),
        (5, [(7, 2), (8, 0)]),  # control records before them
        (7, [(7, 0), (10, 2)]),  # and between them
    ],
)
def test_offsets_that_hold_no_record_are_no_loss(
    checkpoint: int, found: list[tuple[int, int]]
) -> None:
    require_dense({3: [LogRecord(3, at, None, None, gap) for at, gap in found]}, {3: checkpoint})


@pytest.mark.parametrize(
    ("checkpoint", "found"),
    [
        (6, [(7, 0), (8, 0)]),  # the first is missing
        (8, [(7, 0), (8, 0)]),  # what was applied comes again
        (7, [(7, 0), (9, 0)]),  # one between them is missing
        (5, [(7, 1), (8, 0)]),
        (7, [(7, 0), (10, 1)]),
        (6, [(7, 0), (9, 2)]),  # as many offsets as there should be, and the first is missing
    ],
)
def test_a_missing_offset_is_a_loss(checkpoint: int, found: list[tuple[int, int]]) -> None:
    records = {3: [LogRecord(3, at, None, None, gap) for at, gap in found]}
    with pytest.raises(HistoryMismatch, match="Partition 3: expected"):
        require_dense(records, {3: checkpoint})
