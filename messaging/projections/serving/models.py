"""What users have just changed: kept in the write database, beside the users."""

from django.db import models

from messaging.installed import require_app

require_app()


class OwnChange(models.Model):
    """The version of a stream that somebody's pages have to show (own_changes.py)."""

    owner = models.CharField(max_length=100, help_text="A person, or a session of nobody known.")
    stream_type = models.CharField(max_length=100)
    stream_id = models.UUIDField()
    version = models.IntegerField()
    at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "stream_id"], name="one_change_a_stream")
        ]

    def __str__(self) -> str:
        return f"{self.owner}: {self.stream_id} {self.version}"
