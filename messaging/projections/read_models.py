"""The bases of every read model. All live in the read database."""

from django.db import models
from django.db.models.functions import Now

from messaging.installed import require_app

require_app()

BY_THE_DATABASE = "event_applied_at"  # written by its clock: no two folds of a history agree in it


class ReadModel(models.Model):
    """A row that a projection keeps. It belongs to one stream and to one generation.

    A concrete model adds its fields, names the rest of its key and backs it:

        key = ("line_id",)
        constraints = [UniqueConstraint(fields=["generation", "stream_id", "line_id"], ...)]
    """

    key: tuple[str, ...] = ()  # the fields that tell the rows of one stream apart

    generation = models.IntegerField()
    stream_id = models.UUIDField()

    class Meta:
        abstract = True


class TotalModel(ReadModel):
    """A row of a projection with `single_owner=True`: it belongs to no stream, events of many
    streams change it. A concrete model adds its fields, names its whole key and backs it:

        key = ("day",)
        constraints = [UniqueConstraint(fields=["generation", "day"], ...)]
    """

    stream_id = None  # type: ignore[assignment]

    class Meta:
        abstract = True


class RootModel(ReadModel):
    """The row of the stream itself, kept when the thing is gone. All its fields have defaults.

    `version` is the stream's progress: the last event that was applied, `event_id` its id, and
    `event_applied_at` when that was, which the database writes (bulk_sql.py).
    """

    version = models.IntegerField(default=0)
    event_id = models.UUIDField(null=True)
    event_applied_at = models.DateTimeField(
        null=True, default=None, db_default=Now(), editable=False
    )

    class Meta:
        abstract = True
