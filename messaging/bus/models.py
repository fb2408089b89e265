"""The embedded log: the tables that stand in for Kafka on one machine."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now

from messaging.dialect import dialect_of
from messaging.dialect.base import Statement
from messaging.installed import require_app

require_app()

# Plain SQL for what is asked for each batch or each second: the ORM takes several times as long.
ENDS = 'SELECT "partition", next_offset FROM messaging_logpartition WHERE topic = %s'
# Looked up in the index; grouped by partition, the whole log would be read.
BEGINNINGS = """
SELECT p."partition", COALESCE((
  SELECT r."offset" FROM messaging_embeddedrecord r
  WHERE r.topic = p.topic AND r."partition" = p."partition" ORDER BY r."offset" LIMIT 1
), p.next_offset)
FROM messaging_logpartition p WHERE p.topic = %s
"""
MOVE_ENDS = """
UPDATE messaging_logpartition SET next_offset = v.column2 FROM (VALUES {marks}) AS v
WHERE topic = %s AND "partition" = v.column1
"""
ADD = """
INSERT INTO messaging_embeddedrecord (topic, "partition", "offset", key, value, signature)
VALUES {}
"""
BEAT = Statement(
    "log_member_beat", "UPDATE messaging_logmember SET seen_at = {seconds} WHERE member = %s"
)
ALIVE = Statement(
    "log_members_alive",
    'SELECT member FROM messaging_logmember WHERE "group" = %s '
    "AND seen_at BETWEEN {seconds} - %s AND {seconds} + %s",
)
# Offsets are dense, so a range of them bounds what is measured.
UP_TO = """
SELECT "offset", key, value, signature
FROM (
  SELECT *, SUM(length) OVER (ORDER BY "offset") - length AS bytes_before
  FROM (
    SELECT *, COALESCE(LENGTH(value), 0) AS length FROM messaging_embeddedrecord
    WHERE topic = %s AND "partition" = %s AND "offset" >= %s AND "offset" < %s
  ) AS r
) AS b
WHERE bytes_before < %s
ORDER BY "offset"
"""


class Log(models.Model):
    """A topic. Publishers lock its row, so its offsets become visible in their order."""

    topic = models.CharField(max_length=200, primary_key=True)
    identity = models.UUIDField()
    partitions = models.IntegerField()

    def __str__(self) -> str:
        return self.topic


class LogPartition(models.Model):
    topic = models.CharField(max_length=200)
    partition = models.IntegerField()
    next_offset = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["topic", "partition"], name="one_row_a_partition")
        ]

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


class EmbeddedRecord(models.Model):
    """A `LogRecord` in its table."""

    topic = models.CharField(max_length=200)
    partition = models.IntegerField()
    offset = models.BigIntegerField()
    key = models.BinaryField(null=True)
    value = models.BinaryField(null=True)
    signature = models.BinaryField(null=True)
    written_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["topic", "partition", "offset"], name="one_record_an_offset"
            )
        ]

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


def ends_of(cursor: Any, topic: str) -> dict[int, int]:
    """The next offset of each partition."""
    cursor.execute(ENDS, [topic])
    return dict(cursor.fetchall())


def beginnings_of(cursor: Any, topic: str) -> dict[int, int]:
    """The first offset of each partition; where it holds no record, the next one."""
    cursor.execute(BEGINNINGS, [topic])
    return dict(cursor.fetchall())


def move_ends(cursor: Any, topic: str, ends: Mapping[int, int]) -> None:
    if ends:
        marks = ", ".join(["(%s, %s)"] * len(ends))
        values = [value for end in ends.items() for value in end]
        cursor.execute(MOVE_ENDS.format(marks=marks), [*values, topic])


def add_records(
    connection: BaseDatabaseWrapper, cursor: Any, rows: Sequence[Sequence[Any]]
) -> None:
    """Rows of (topic, partition, offset, key, value, signature)."""
    if rows:
        dialect_of(connection).insert(cursor, ADD, rows)


def records_up_to(
    cursor: Any, topic: str, partition: int, start: int, count: int, size: int
) -> list[tuple[Any, ...]]:
    """(offset, key, value, signature) from `start` on: up to `count` records, and up to `size`
    bytes with the record that reaches them."""
    cursor.execute(UP_TO, [topic, partition, start, start + count, size])
    found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def records_since(
    topic: str, partition: int, since: datetime
) -> Iterator[tuple[int, Any, Any, datetime]]:
    """(offset, key, value, written_at) of those that were written at `since` or later. Times grow
    with offsets, so the first is found by halving: they have no index."""
    rows = EmbeddedRecord.objects.filter(topic=topic, partition=partition).order_by("offset")
    times = rows.values_list("offset", "written_at")
    first, last = times.first(), times.last()
    if first is None or last is None:
        return
    low, end = first[0], last[0] + 1
    while low < end:
        middle = (low + end) // 2
        offset, at = times.filter(offset__gte=middle)[:1].get()
        low, end = (low, middle) if at >= since else (offset + 1, end)
    found = rows.filter(offset__gte=low)
    yield from found.values_list("offset", "key", "value", "written_at").iterator()


class LogMember(models.Model):
    """A consumer of a group that says now and then that it is alive."""

    group = models.CharField(max_length=200)
    member = models.UUIDField(primary_key=True)
    seen_at = models.FloatField(help_text="Seconds since the epoch.")

    class Meta:
        indexes = [models.Index(fields=["group"], name="members_of_a_group")]

    def __str__(self) -> str:
        return f"{self.group} {self.member}"
