"""Proof that a log is the one that was read: which record stood at an offset.

An offset alone proves nothing. A log that lost its tail (a disk was put back to an earlier
copy) and was filled again up to that offset looks whole, and what was written in between
would never be read.
"""

import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from messaging import codec
from messaging.bus.base import Bus, LogRecord
from messaging.bus.rejected import digest_of
from messaging.bus.signing import require_keys
from messaging.exceptions import DecodeError, HistoryMismatch, LostTail

T = TypeVar("T")

log = logging.getLogger("postlog.log")


class Proof(NamedTuple):
    """A record that the log has to hold. In text form, for a column: `41 event 0190…`."""

    offset: int
    name: str

    def __str__(self) -> str:
        return f"{self.offset} {self.name}"


def proof_from(text: str) -> Proof:
    offset, _, name = text.partition(" ")
    return Proof(int(offset), name)


def proof_of(record: LogRecord) -> Proof:
    return Proof(record.offset, name_of(record))


def name_of(record: LogRecord) -> str:
    """The event's id; of a record that holds no event, a digest."""
    try:
        if record.value is not None:
            return f"event {codec.decode_envelope(record.value)[0].event_id}"
    except DecodeError:
        pass
    return f"digest {digest_of(record)}"


def records_at(bus: Bus, offsets: Mapping[int, int]) -> dict[int, LogRecord]:
    """The record at one offset of each partition, where the log has one there."""
    firsts, ends = bus.begin_offsets(), bus.end_offsets()
    ranges = {p: (at, at + 1) for p, at in offsets.items() if firsts[p] <= at < ends[p]}
    return {one.partition: one for part in bus.read_ranges(ranges, batch=1) for one in part}


def proofs_before(bus: Bus, offsets: Mapping[int, int]) -> dict[int, str]:
    """The proof, as text, of the record directly before each offset, where there is one."""
    found = records_at(bus, {p: offset - 1 for p, offset in offsets.items()})
    return {partition: str(proof_of(record)) for partition, record in found.items()}


def require_proofs(bus: Bus, proofs: Mapping[int, Proof], who: str) -> None:
    """Raise `LostTail` unless the log holds each of these records. What retention has
    deleted from its beginning is no contradiction."""
    firsts = bus.begin_offsets()
    wanted = {p: proof for p, proof in proofs.items() if proof.offset >= firsts[p]}
    found = records_at(bus, {p: proof.offset for p, proof in wanted.items()})
    for partition, proof in sorted(wanted.items()):
        now = name_of(found[partition]) if partition in found else "no record"
        if now != proof.name:
            raise LostTail(partition, proof.offset, proof.name, now, who)
    require_keys(found.values())


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
