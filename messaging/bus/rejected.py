"""Records of the log that an operator declared invalid: nobody takes them for events.

Both databases remember them, because neither side may ask the other one's.
"""

from collections.abc import Collection, Sequence
from hashlib import blake2b

from django.db import connections, models, router

from messaging.bus.base import LogRecord
from messaging.dialect.kept import KeptStatement

Rejected = Collection[tuple[int, int, str]]  # partition, offset, digest of the record


class Rejection(models.Model):
    """One record, by its place and its content: in a new log other records have its place."""

    partition = models.IntegerField()
    offset = models.BigIntegerField()
    event_id = models.UUIDField()
    digest = models.CharField(max_length=32)
    rejected_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True
        constraints = [
            models.UniqueConstraint(
                fields=["partition", "offset", "digest"], name="%(class)s_one_rejection"
            )
        ]

    def __str__(self) -> str:
        return f"partition {self.partition} offset {self.offset} event {self.event_id}"

    @classmethod
    def all_of_them(cls) -> Rejected:
        """Few, at any time."""
        # Asked for each batch: the ORM takes longer to word it than the database to answer.
        sql = f'SELECT "partition", "offset", digest FROM {cls._meta.db_table}'
        kept = KeptStatement(f"postlog_{cls._meta.model_name}", sql)
        return frozenset(kept.rows(connections[router.db_for_read(cls)]))


def is_rejected(record: LogRecord, rejected: Rejected) -> bool:
    return any(
        (record.partition, record.offset) == (partition, offset) and digest_of(record) == digest
        for partition, offset, digest in rejected
    )


def without(records: Sequence[LogRecord], rejected: Rejected) -> Sequence[LogRecord]:
    """The records that nobody rejected."""
    if not rejected:
        return records
    return [record for record in records if not is_rejected(record, rejected)]


def digest_of(record: LogRecord) -> str:
    """32 hexadecimal digits over its key and its value."""
    return blake2b(repr((record.key, record.value)).encode(), digest_size=16).hexdigest()
