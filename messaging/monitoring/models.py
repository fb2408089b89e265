"""What operators did: kept in the write database, beside the users."""

from django.db import models


class OperatorAction(models.Model):
    """A rebuild asked for, a dead letter discarded, ...: by whom, when, and on what."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=254, help_text="A username, or a login name (shell).")
    action = models.CharField(max_length=50)
    detail = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.actor}: {self.action}"
