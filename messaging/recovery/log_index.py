"""What the log says, in a temporary SQLite file: it can be looked up, and memory stays flat."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from hashlib import blake2b
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import NamedTuple
from uuid import UUID

from messaging import codec, plausible
from messaging.bus.base import Bus, LogRecord, partition_of
from messaging.bus.rejected import Rejected, without
from messaging.bus.signing import UNKNOWN_KEY, KeyRing, require_keys
from messaging.eventstore.unit_of_work import SERVER_GENERATED
from messaging.exceptions import DecodeError
from messaging.message import OWN, Envelope, Position

SCHEMA = """
CREATE TABLE record (
    stream BLOB, version INTEGER, event BLOB, digest BLOB, "partition" INTEGER, "offset" INTEGER,
    document BLOB, type TEXT, PRIMARY KEY (stream, version, event, digest)
) WITHOUT ROWID
"""
# Where the commands end whose senders chose the ids, if documents are kept: for their receipts.
COMMAND_SCHEMA = """
CREATE TABLE command (
    actor TEXT, command BLOB, stream BLOB, type TEXT, version INTEGER,
    PRIMARY KEY (actor, command, stream)
) WITHOUT ROWID
"""
INSERT_COMMAND = """
INSERT INTO command VALUES (?, ?, ?, ?, ?) ON CONFLICT (actor, command, stream)
DO UPDATE SET version = MAX(version, excluded.version)
"""
# Records that are not signed, or not rightly; `signed` says whether they carry a signature.
FORGED_SCHEMA = """
CREATE TABLE forged (
    stream BLOB, version INTEGER, event BLOB, digest BLOB, "partition" INTEGER, "offset" INTEGER,
    signed INTEGER
)
"""
# Records that may date from before records were signed: without a signature, and before the first
# signed record of their partition, or in a log without any. What was published again since, signed,
# is left out.
UNSIGNED_BEFORE = """
SELECT "partition", "offset" FROM forged f WHERE NOT signed
AND ("offset" < (SELECT MIN("offset") FROM record r WHERE r."partition" = f."partition")
  OR NOT EXISTS (SELECT 1 FROM record))
AND NOT EXISTS (SELECT 1 FROM record r WHERE r.stream = f.stream AND r.version = f.version)
ORDER BY "partition", "offset"
"""
# Of identical records the first one counts.
INSERT = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
OUT_OF_ORDER = """
SELECT stream, version, "partition", "offset" FROM (
    SELECT *, LAG("offset") OVER (PARTITION BY stream ORDER BY version) AS earlier,
        LAG("partition") OVER (PARTITION BY stream ORDER BY version) AS beside FROM record
) WHERE "offset" < earlier AND "partition" = beside
"""


class IndexedRecord(NamedTuple):
    """One event as the log has it."""

    event_id: UUID
    digest: bytes
    location: str
    document: bytes | None  # as it stands in the log, if that was to be kept
    stream_type: str


class Forgery(NamedTuple):
    """A record that no relay with these keys wrote, as far as it can be read."""

    stream_id: UUID
    version: int
    event_id: UUID
    digest: bytes
    partition: int
    offset: int


class LogIndex:
    """A context manager: the file is deleted at the end."""

    def __init__(
        self,
        partitions: int,
        *,
        keep_documents: bool = False,
        rejected: Rejected = (),
        latest: datetime | None = None,
        ring: KeyRing | None = None,
    ) -> None:
        """No relay wrote what claims to have been recorded after `latest`, nor what has no right
        signature of `ring`."""
        self._ring = ring
        self._partitions = partitions
        self._latest = latest
        self._rejected = rejected
        self._keep = keep_documents
        self._folder = TemporaryDirectory(prefix="postlog-log-")
        self._db = sqlite3.connect(f"{self._folder.name}/log.sqlite3", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(SCHEMA)
        self._db.execute(FORGED_SCHEMA)
        self._db.execute(COMMAND_SCHEMA)
        self.unknown_keys: dict[tuple[int, str], tuple[int, int]] = {}  # -> count, first offset
        self.forged = 0
        self.malformed: list[str] = []  # records that no relay can have written
        self.last: dict[int, tuple[int, UUID]] = {}  # each partition's last event, and its offset
        self.read = 0

    def __enter__(self) -> "LogIndex":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()
        self._folder.cleanup()

    def add(
        self,
        bus: Bus,
        begin: Mapping[int, int],
        ends: Mapping[int, int],
        report: Callable[[int, str], None] = lambda *_: None,
    ) -> None:
        """Read these offsets of the log; `report` is called with how many records are read."""
        for partition, end in ends.items():
            for records in bus.read(partition, begin[partition], end):
                require_keys(records)
                sound = without(records, self._rejected)
                self._db.execute("BEGIN")
                rows = [row for record in sound if (row := self._row(record)) is not None]
                self._db.executemany(INSERT, rows)
                self._db.execute("COMMIT")
                self.read += len(records)
                report(self.read, "records of the log are read")

    def records_of(self, stream_id: UUID) -> dict[int, list[IndexedRecord]]:
        """The records of a stream, by version. Several of one version contradict each other."""
        found: dict[int, list[IndexedRecord]] = {}
        rows = self._db.execute("SELECT * FROM record WHERE stream = ?", [stream_id.bytes])
        for _, version, event, digest, partition, offset, document, stream_type in rows:
            location = _location(partition, offset)
            one = IndexedRecord(UUID(bytes=event), digest, location, document, stream_type)
            found.setdefault(version, []).append(one)
        return found

    def positions_of(self, actor: str, command_id: UUID) -> list[Position]:
        """Where a command left its streams."""
        rows = self._db.execute(
            "SELECT type, stream, version FROM command WHERE actor = ? AND command = ?",
            [actor, command_id.bytes],
        )
        return [Position(kind, UUID(bytes=stream), version) for kind, stream, version in rows]

    def streams(self) -> Iterator[UUID]:
        rows = self._db.execute("SELECT DISTINCT stream FROM record ORDER BY stream")
        return (UUID(bytes=stream) for (stream,) in rows)

    def out_of_order(self) -> Iterator[str]:
        """Describe the events that stand in the log before an earlier one of their stream."""
        for stream, version, partition, offset in self._db.execute(OUT_OF_ORDER):
            yield (
                f"stream {UUID(bytes=stream)}: version {version} stands at "
                f"{_location(partition, offset)}, before version {version - 1}"
            )

    def forgeries(self) -> Iterator[Forgery]:
        """Those that are events, by stream."""
        for stream, version, event, digest, partition, offset, _ in self._db.execute(
            "SELECT * FROM forged ORDER BY stream, version"
        ):
            ids = UUID(bytes=stream), version, UUID(bytes=event)
            yield Forgery(*ids, digest, partition, offset)

    def unsigned_before(self) -> list[str]:
        """Where records stand that may be genuine, and older than signatures."""
        return [_location(*row) for row in self._db.execute(UNSIGNED_BEFORE)]

    def _is_signed(self, record: LogRecord) -> bool:
        fault = None if self._ring is None else self._ring.fault_of(record)
        if fault is None:
            return True
        if fault.code == UNKNOWN_KEY:
            key = record.partition, fault.key_id
            count, first = self.unknown_keys.get(key, (0, record.offset))
            self.unknown_keys[key] = count + 1, first
            return False
        self.forged += 1
        with suppress(DecodeError):
            envelope, data = codec.decode_envelope(record.value or b"")
            document = codec.encode_record(envelope, bytes(data).decode())
            row = (
                envelope.stream_id.bytes, envelope.version, envelope.event_id.bytes,
                digest_of(document), record.partition, record.offset, record.signature is not None,
            )  # fmt: skip
            self._db.execute("INSERT INTO forged VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return False

    def _row(self, record: LogRecord) -> tuple[object, ...] | None:
        if not self._is_signed(record):
            return None
        location = _location(record.partition, record.offset)
        try:
            if record.value is None:
                raise DecodeError("the record has no value")
            envelope, data = codec.decode_envelope(record.value)
        except DecodeError as error:
            self.malformed.append(f"{location}: not readable: {error}")
            return None
        if fault := self._fault(envelope, data):
            self.malformed.append(f"{location}: event {envelope.event_id} cannot be: {fault}")
            return None
        key = str(envelope.stream_id)
        if record.partition != partition_of(key, self._partitions):
            self.malformed.append(f"{location}: stream {key} belongs to another partition")
        self.last[record.partition] = (record.offset, envelope.event_id)
        of_a_result = not envelope.stream_type.startswith(OWN)  # eventstore/results.py
        if self._keep and of_a_result and envelope.command_id.version != SERVER_GENERATED:
            self._db.execute(
                INSERT_COMMAND,
                [
                    envelope.actor, envelope.command_id.bytes, envelope.stream_id.bytes,
                    envelope.stream_type, envelope.version,
                ],
            )  # fmt: skip
        document = codec.encode_record(envelope, bytes(data).decode())
        return (
            envelope.stream_id.bytes,
            envelope.version,
            envelope.event_id.bytes,
            digest_of(document),
            record.partition,
            record.offset,
            record.value if self._keep else None,
            envelope.stream_type,
        )

    def _fault(self, envelope: Envelope, data: codec.Payload) -> str:
        if self._latest is not None and envelope.recorded_at > self._latest:
            return f"it says that it was recorded at {envelope.recorded_at:%Y-%m-%d %H:%M:%S} UTC"
        return plausible.fault_of_document(envelope, data)


def digest_of(document: bytes) -> bytes:
    return blake2b(document, digest_size=16).digest()


def _location(partition: int, offset: int) -> str:
    return f"partition {partition} offset {offset}"
