"""What the client returned, as records with the offsets before them that hold none."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from confluent_kafka import KafkaError

from messaging.bus.base import Fetched, LogRecord
from messaging.bus.kafka.records import asked_for_another, signature


class Fault(NamedTuple):
    """An error in the place of a record."""

    error: Any  # a KafkaError
    partition: int
    offset: int


class Positions:
    """Counts from the offsets that were sought. Of a partition that was not sought, there are no
    records."""

    def __init__(self) -> None:
        self._next: dict[int, int] = {}  # partition -> the offset after what was returned last
        self._ends: dict[int, int] = {}  # where the client stands at the end of a partition
        self._fault: Fault | None = None

    def sought(self, partition: int, offset: int) -> None:
        self._next[partition] = offset
        self._ends.pop(partition, None)
        if self._fault is not None and self._fault.partition == partition:
            self._fault = None

    def forget(self) -> None:
        self._next.clear()
        self._ends.clear()
        self._fault = None

    def has_more(self) -> bool:
        """Whether the next answer needs nothing from the client."""
        return bool(self._ends or self._fault)

    def fault(self) -> Fault | None:
        """The one that came behind the records returned last. It is returned once."""
        found, self._fault = self._fault, None
        return found

    def take(self, found: list[Any]) -> Fetched:
        records: dict[int, list[LogRecord]] = {}
        positions = self._next
        for one in found:
            error, partition, offset = one.error(), one.partition(), one.offset()
            if error is not None:
                self._note(Fault(error, partition, offset))
                continue
            expected = positions.get(partition)
            if expected is None:
                continue
            if offset < expected:
                raise asked_for_another(partition, expected, offset)
            positions[partition] = offset + 1
            records.setdefault(partition, []).append(
                LogRecord(
                    partition, offset, one.key(), one.value(), offset - expected,
                    signature(one.headers()),
                )
            )  # fmt: skip
        return Fetched(records, self._passed(records))

    def _note(self, fault: Fault) -> None:
        if fault.error.code() == KafkaError._PARTITION_EOF:
            self._ends[fault.partition] = fault.offset
        else:
            self._fault = self._fault or fault

    def _passed(self, records: Mapping[int, object]) -> dict[int, int]:
        """The client moves over control records without a word. At the end of a partition it says
        where it stands; what it did not return on the way there holds no record."""
        passed = {}
        for partition, end in list(self._ends.items()):
            position = self._next.get(partition, end)
            if partition in records and end > position:
                continue  # told by the next call
            del self._ends[partition]
            if end > position:
                passed[partition] = self._next[partition] = end
        return passed
