"""The embedded log: the tables that stand in for Kafka on one machine."""

from typing import Any

from django.db import models
from django.db.models import F, Sum, Window
from django.db.models.functions import Coalesce, Length


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

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["topic", "partition", "offset"], name="one_record_an_offset"
            )
        ]

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


def records_up_to(topic: str, partition: int, start: int, count: int, size: int) -> Any:
    """(offset, key, value, signature) from `start` on: up to `count` records, and up to `size`
    bytes with the record that reaches them."""
    length = Coalesce(Length("value"), 0)
    # Offsets are dense, so a range of them bounds what is measured.
    rows = EmbeddedRecord.objects.filter(
        topic=topic, partition=partition, offset__gte=start, offset__lt=start + count
    )
    before = Window(Sum(length), order_by=F("offset").asc()) - length
    wanted = rows.alias(before=before).filter(before__lt=size)
    return wanted.order_by("offset").values_list("offset", "key", "value", "signature")


class LogMember(models.Model):
    """A consumer of a group that says now and then that it is alive."""

    group = models.CharField(max_length=200)
    member = models.UUIDField(primary_key=True)
    seen_at = models.FloatField(help_text="Seconds since the epoch.")

    class Meta:
        indexes = [models.Index(fields=["group"], name="members_of_a_group")]

    def __str__(self) -> str:
        return f"{self.group} {self.member}"
