"""The embedded log: the tables that stand in for Kafka on one machine."""

from django.db import models


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


class LogRecord(models.Model):
    topic = models.CharField(max_length=200)
    partition = models.IntegerField()
    offset = models.BigIntegerField()
    key = models.BinaryField(null=True)
    value = models.BinaryField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["topic", "partition", "offset"], name="one_record_an_offset"
            )
        ]

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


class LogMember(models.Model):
    """A consumer of a group that says now and then that it is alive."""

    group = models.CharField(max_length=200)
    member = models.UUIDField(primary_key=True)
    seen_at = models.FloatField(help_text="Seconds since the epoch.")

    class Meta:
        indexes = [models.Index(fields=["group"], name="members_of_a_group")]

    def __str__(self) -> str:
        return f"{self.group} {self.member}"
