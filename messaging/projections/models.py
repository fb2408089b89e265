"""The read side's own tables: checkpoints, dead letters, generations, rebuilds. All in the read
database."""

from django.db import models
from django.db.models.functions import Now

from messaging.bus.rejected import Rejection
from messaging.projections.read_models import RootModel


class ProjectionState(models.Model):
    """Which generation of a projection readers see."""

    name = models.CharField(max_length=100, primary_key=True)
    live_generation = models.IntegerField(default=1)
    code_version = models.IntegerField(default=1, help_text="Of the code that built it.")
    inline = models.BooleanField(
        null=True, help_text="Whether commands write its rows. None: nobody has written any yet."
    )

    def __str__(self) -> str:
        return f"{self.name} generation {self.live_generation}"


class Checkpoint(models.Model):
    """The next offset that a generation of a projection takes from a partition."""

    projection = models.CharField(max_length=100)
    generation = models.IntegerField()
    partition = models.IntegerField()
    offset = models.BigIntegerField()
    identity = models.TextField(help_text="Of the log that the offset belongs to.")
    halted = models.TextField(blank=True, help_text="Why the partition is halted.")
    checked_at = models.DateTimeField(
        db_default=Now(), help_text="When it moved last, or was found level with the log."
    )
    proof = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="The last record that was read: its offset, and its event's id or its digest.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["projection", "generation", "partition"], name="one_checkpoint_a_partition"
            )
        ]

    def __str__(self) -> str:
        return f"{self.projection} generation {self.generation} partition {self.partition}"


class DeadLetter(models.Model):
    """A record that could not be applied. Later events of its stream are parked behind it."""

    projection = models.CharField(max_length=100)
    generation = models.IntegerField()
    stream_id = models.UUIDField(null=True, help_text="None: the record names no stream.")
    version = models.IntegerField(null=True)
    event_id = models.UUIDField(null=True)
    partition = models.IntegerField()
    offset = models.BigIntegerField(null=True, help_text="None: it was read from the store.")
    key = models.BinaryField(null=True)
    value = models.BinaryField(null=True)
    code = models.CharField(max_length=50)  # dead_letters.py, docs/operations.md
    reason = models.TextField()
    tried_by = models.CharField(
        max_length=64, blank=True, db_default="", help_text="Digest of the code that tried it last."
    )
    parked_at = models.DateTimeField(db_default=Now())
    signature = models.BinaryField(null=True)
    due_at = models.DateTimeField(null=True, help_text="When it is tried again in any case.")

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


class StreamProgress(RootModel):
    """How far a projection with `single_owner=True` has applied a stream: its root row."""

    key = ("projection",)

    projection = models.CharField(max_length=100)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["projection", "generation", "stream_id"], name="one_progress_a_stream"
            )
        ]
        verbose_name_plural = "progress of streams"

    def __str__(self) -> str:
        return f"{self.projection} {self.stream_id} v{self.version}"


class Discarded(models.Model):
    """An event that an operator gave up. Every generation passes over it, later ones too."""

    projection = models.CharField(max_length=100)
    event_id = models.UUIDField()
    stream_id = models.UUIDField()
    version = models.IntegerField()
    discarded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["projection", "event_id"], name="one_discard_an_event")
        ]
        verbose_name_plural = "discarded events"

    def __str__(self) -> str:
        return f"{self.projection} {self.stream_id} v{self.version}"


class SkippedRecord(Rejection):
    """A record that consumers and rebuilds skip."""


class Rebuild(models.Model):
    """A new generation of a projection: asked for, under way, or how it ended."""

    class State(models.TextChoices):
        ASKED = "asked"
        FILLING = "filling"
        CATCHING_UP = "catching up"
        CLEANING_UP = "cleaning up"  # of the generation that nobody reads (any more)
        DONE = "done"
        CANCELLED = "cancelled"
        FAILED = "failed"

    class Source(models.TextChoices):
        LOG = "log"
        STORE = "store"

    ENDED = (State.DONE, State.CANCELLED, State.FAILED)

    projection = models.CharField(max_length=100)
    generation = models.IntegerField()
    source = models.CharField(max_length=10, choices=Source.choices)
    state = models.CharField(max_length=20, choices=State.choices, default=State.ASKED)
    asked_by = models.CharField(max_length=254)
    asked_at = models.DateTimeField(auto_now_add=True)
    switched_at = models.DateTimeField(null=True, help_text="When readers were switched to it.")
    ended_at = models.DateTimeField(null=True)
    builder = models.UUIDField(null=True, help_text="Who builds it. Others must not write.")
    at_stream = models.UUIDField(null=True, help_text="From the store: the last one built.")
    at_version = models.IntegerField(default=0)
    events_done = models.BigIntegerField(default=0)
    events_total = models.BigIntegerField(default=0, help_text="As counted at the beginning.")
    error = models.TextField(blank=True)
    accept_regression = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Switch even if readers have seen later versions than the source has.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["projection"],
                condition=~models.Q(state__in=["done", "cancelled", "failed"]),
                name="one_rebuild_at_a_time",
            ),
            models.UniqueConstraint(
                fields=["projection", "generation"], name="one_rebuild_a_generation"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.projection} generation {self.generation}: {self.state}"
