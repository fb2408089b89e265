"""What operators did, and samples of how things stood: kept in the write database."""

from django.db import models
from django.db.models.functions import Now

from messaging.installed import require_app

require_app()


class OperatorAction(models.Model):
    """A rebuild asked for, a dead letter discarded, ...: by whom, when, and on what."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=254, help_text="A username, or a login name (shell).")
    action = models.CharField(max_length=50)
    detail = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.actor}: {self.action}"


class Sample(models.Model):
    """How things stood at one moment (samples.py): one row each 10 s, and one that is the worst of
    each 5 minutes."""

    step_s = models.SmallIntegerField(help_text="What the row stands for: 10 or 300 seconds.")
    at = models.DateTimeField(help_text="The beginning of it, by the database's clock.")
    published = models.BigIntegerField(null=True, help_text="Records in the log; None: no answer.")
    figures = models.TextField(help_text="The other figures, as JSON.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["step_s", "at"], name="one_sample_a_step")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} for {self.step_s} s"


class Tally(models.Model):
    """What one process has counted since its last one (tallies.py). The next sample takes it in."""

    at = models.DateTimeField(db_default=Now())
    counts = models.TextField(help_text="As JSON.")

    class Meta:
        verbose_name_plural = "tallies"

    def __str__(self) -> str:
        return self.counts
