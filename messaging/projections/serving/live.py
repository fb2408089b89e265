"""What readers see of a projection: the rows of its live generation."""

from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from django.db import connections
from django.db.models import QuerySet

from messaging.conf import read_alias
from messaging.dialect.values import db_uuid
from messaging.projections.models import ProjectionState
from messaging.projections.read_models import ReadModel, RootModel
from messaging.projections.registry import Projection

R = TypeVar("R", bound=ReadModel)


def live_root(projection: Projection, stream_id: UUID) -> Any:
    """The root row of a stream, or None. As `live(...)` has it, without the query builder,
    which would cost more than the query."""
    root = projection.root
    if projection.single_owner:
        return live(projection, root).filter(stream_id=stream_id).first()
    rows = root._default_manager.raw(
        _root_sql(root), [projection.name, db_uuid(connections[read_alias()], stream_id)]
    )
    return next(iter(rows), None)


@cache
def _root_sql(root: type[ReadModel]) -> str:
    return (
        f"SELECT * FROM {root._meta.db_table} WHERE generation = "
        "(SELECT live_generation FROM messaging_projectionstate WHERE name = %s) "
        "AND stream_id = %s"
    )


def live(projection: Projection, model: type[R]) -> QuerySet[R]:
    """The rows that readers see. The generation is looked up in the same statement, so a
    rebuild that switches generations is never seen half done."""
    generation = ProjectionState.objects.filter(name=projection.name).values("live_generation")[:1]
    rows = model._default_manager.filter(generation=generation)
    return rows.filter(**projection.root_filter) if issubclass(model, RootModel) else rows
