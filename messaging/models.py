"""What operators did, which workers are alive, and what users have just changed: kept in the
write database, beside the users."""

from django.db import models


class OperatorAction(models.Model):
    """A rebuild asked for, a dead letter discarded, ...: by whom, when, and on what."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150, help_text="A username, or a login name (shell).")
    action = models.CharField(max_length=50)
    detail = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.actor}: {self.action}"


class Heartbeat(models.Model):
    """A worker that is alive, for as long as `beat_at` is young (workers/heartbeats.py)."""

    role = models.CharField(max_length=20)  # relay, consumer
    process = models.CharField(max_length=200, help_text="Host and process id.")
    active = models.BooleanField(help_text="False: it stands by.")
    since = models.DateTimeField(help_text="When it became active, or began to stand by.")
    beat_at = models.DateTimeField()
    error = models.TextField(
        blank=True, default="", db_default="", help_text="Why it cannot work now; it tries again."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["role", "process"], name="one_beat_a_role")]

    def __str__(self) -> str:
        return f"{self.role} {self.process}"


class OwnChange(models.Model):
    """The version of a stream that somebody's pages have to show (own_changes.py)."""

    owner = models.CharField(max_length=100, help_text="A person, or a session of nobody known.")
    stream_id = models.UUIDField()
    version = models.IntegerField()
    at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "stream_id"], name="one_change_a_stream")
        ]

    def __str__(self) -> str:
        return f"{self.owner}: {self.stream_id} {self.version}"
