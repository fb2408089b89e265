"""Which workers are alive: kept in the write database."""

from django.db import models

from messaging.installed import require_app

require_app()


class Heartbeat(models.Model):
    """A worker that is alive, for as long as `beat_at` is young (workers/heartbeats.py). One that
    is not is remembered for an hour, so that an operator sees who was there, and until when."""

    role = models.CharField(max_length=120)  # relay, consumer, owner of <projection>
    process = models.CharField(max_length=200, help_text="Host and process id.")
    active = models.BooleanField(help_text="False: it stands by.")
    since = models.DateTimeField(help_text="When it became active, or began to stand by.")
    beat_at = models.DateTimeField()
    error = models.TextField(
        blank=True, default="", db_default="", help_text="Why it cannot work now; it tries again."
    )
    partitions = models.JSONField(
        default=dict, help_text="Of a consumer: the partitions that it has, by projection."
    )
    stopped_at = models.DateTimeField(
        null=True, help_text="When it stopped as it was asked to. None: it did not."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["role", "process"], name="one_beat_a_role")]

    def __str__(self) -> str:
        return f"{self.role} {self.process}"
