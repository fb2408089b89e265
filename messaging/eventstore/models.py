"""The tables of the event store. `statements.py` appends to them, the relay empties the outbox and
notes what the log has acknowledged."""

from django.db import models
from django.utils import timezone

from messaging.bus.rejected import Rejection
from messaging.installed import require_app

require_app()


class Stream(models.Model):
    """The history of one thing, such as an order. Writers lock its row."""

    stream_id = models.UUIDField(primary_key=True)
    stream_type = models.CharField(max_length=100)
    version = models.IntegerField(help_text="The version of its last event.")

    def __str__(self) -> str:
        return f"{self.stream_type} {self.stream_id}"


class Event(models.Model):
    """A fact. Append-only: database triggers refuse every change (triggers.py)."""

    position = models.BigAutoField(
        primary_key=True, help_text="Order of allocation. Later ones may be committed earlier."
    )
    stream_id = models.UUIDField()
    stream_type = models.CharField(max_length=100)
    version = models.IntegerField()
    event_id = models.UUIDField()
    type = models.CharField(max_length=200)
    data = models.TextField(help_text="The payload as JSON.")
    recorded_at = models.DateTimeField()
    actor = models.CharField(max_length=254)
    command_id = models.UUIDField()
    correlation_id = models.UUIDField()
    causation_id = models.UUIDField(null=True)
    traceparent = models.CharField(max_length=100)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["stream_id", "version"], name="one_event_a_version")
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.stream_id} v{self.version}"


class Outbox(models.Model):
    """An event that the log has not acknowledged yet.

    Without a foreign key, because rows come and go fast.
    """

    position = models.BigIntegerField(primary_key=True)

    class Meta:
        verbose_name_plural = "outbox"

    def __str__(self) -> str:
        return str(self.position)


class Receipt(models.Model):
    """What became of a command whose sender chose the command's id."""

    actor = models.CharField(max_length=254)
    command_id = models.UUIDField()
    outcome = models.TextField(help_text="The result, or the refusal, as JSON.")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, help_text="When it is forgotten. None: never.")

    class Meta:
        constraints = [
            # The id first, by which `trace` and the console find it, whoever sent it.
            models.UniqueConstraint(fields=["command_id", "actor"], name="one_receipt_a_command")
        ]
        indexes = [
            models.Index(
                fields=["expires_at"],
                condition=models.Q(expires_at__isnull=False),
                name="receipts_to_forget",
            )
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.command_id}"


class Snapshot(models.Model):
    """The state of a long stream at one version. May be deleted at any time."""

    stream_id = models.UUIDField(primary_key=True)
    schema = models.CharField(max_length=50)
    version = models.IntegerField()
    state = models.TextField()

    def __str__(self) -> str:
        return f"{self.stream_id} v{self.version}"


class Acknowledged(models.Model):
    """The last record of a partition that the log has acknowledged to a relay, or that
    `restore-events` found there."""

    partition = models.IntegerField(primary_key=True)
    offset = models.BigIntegerField()
    event_id = models.UUIDField()

    def __str__(self) -> str:
        return f"partition {self.partition} offset {self.offset}"


class RejectedRecord(Rejection):
    """A record that the relay's comparison, `verify` and `restore-events` skip."""


class LogIdentity(models.Model):
    """Which log this store has published to (one row)."""

    id = models.IntegerField(primary_key=True, default=1)
    identity = models.TextField()
    # Counts, because a log that was put back to an earlier copy keeps its identity.
    accepted = models.IntegerField(
        default=0, db_default=0, help_text="How often an operator has accepted another log."
    )

    def __str__(self) -> str:
        return self.identity
