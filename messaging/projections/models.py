"""The read side's own tables, and the bases of every read model. All in the read database."""

from django.db import models


class ReadModel(models.Model):
    """A row that a projection keeps. It belongs to one stream and to one generation.

    A concrete model adds its fields, names the rest of its key and backs it:

        key = ("comment_id",)
        constraints = [UniqueConstraint(fields=["generation", "stream_id", "comment_id"], ...)]
    """

    key: tuple[str, ...] = ()  # the fields that tell the rows of one stream apart

    generation = models.IntegerField()
    stream_id = models.UUIDField()

    class Meta:
        abstract = True


class RootModel(ReadModel):
    """The row of the stream itself, kept when the thing is gone. All its fields have defaults.

    `version` is the stream's progress: the last event that took effect.
    """

    version = models.IntegerField(default=0)
    event_id = models.UUIDField(null=True)

    class Meta:
        abstract = True


class ProjectionState(models.Model):
    """Which generation of a projection readers see."""

    name = models.CharField(max_length=100, primary_key=True)
    live_generation = models.IntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.name} generation {self.live_generation}"


class Checkpoint(models.Model):
    """The next offset that a generation of a projection takes from a partition."""

    projection = models.CharField(max_length=100)
    generation = models.IntegerField()
    partition = models.IntegerField()
    offset = models.BigIntegerField()
    identity = models.TextField(help_text="Of the log that the offset belongs to.")
    halted = models.TextField(blank=True, help_text="Why the partition does not go on.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["projection", "generation", "partition"], name="one_checkpoint_a_partition"
            )
        ]

    def __str__(self) -> str:
        return f"{self.projection} generation {self.generation} partition {self.partition}"


class DeadLetter(models.Model):
    """A record that did not take effect. Later events of its stream wait here behind it."""

    projection = models.CharField(max_length=100)
    generation = models.IntegerField()
    stream_id = models.UUIDField(null=True, help_text="None: the record names no stream.")
    version = models.IntegerField(null=True)
    event_id = models.UUIDField(null=True)
    partition = models.IntegerField()
    offset = models.BigIntegerField()
    key = models.BinaryField(null=True)
    value = models.BinaryField(null=True)
    code = models.CharField(max_length=50)  # poison, gap, behind, unreadable
    reason = models.TextField()
    parked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["projection", "generation", "stream_id", "version"],
                name="one_dead_letter_an_event",
            ),
            models.UniqueConstraint(
                fields=["projection", "generation", "partition", "offset"],
                name="one_dead_letter_a_record",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.projection} {self.stream_id} v{self.version}: {self.code}"
