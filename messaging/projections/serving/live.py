"""What readers see of a projection: the rows of its live generation."""

from collections.abc import Iterable
from functools import cache
from hashlib import blake2b
from typing import Any, TypeVar
from uuid import UUID

from django.db import connections
from django.db.models import QuerySet

from messaging.conf import read_alias
from messaging.dialect.kept import KeptStatement
from messaging.dialect.values import db_uuid
from messaging.projections.bulk_sql import row_maker
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
    connection = connections[read_alias()]
    rows = _root_row(root).rows(connection, projection.name, db_uuid(connection, stream_id))
    return row_maker(root)(rows[0]) if rows else None


def live_version(projection: Projection, stream_id: UUID) -> int:
    """The version of a stream that readers see; 0 if they see none. Asked every few milliseconds by
    whoever waits for it."""
    connection = connections[read_alias()]
    rest = projection.root_filter.values()
    rows = _version(projection.root, tuple(projection.root_filter)).rows(
        connection, projection.name, db_uuid(connection, stream_id), *rest
    )
    return int(rows[0][0]) if rows else 0


@cache
def _version(root: type[ReadModel], rest: tuple[str, ...]) -> KeptStatement:
    return _kept("postlog_version", root, ["version"], rest)


@cache
def _root_row(root: type[ReadModel]) -> KeptStatement:
    options: Any = root._meta
    return _kept("postlog_root", root, [field.column for field in options.concrete_fields])


def _kept(
    name: str, root: type[ReadModel], columns: Iterable[str], rest: Iterable[str] = ()
) -> KeptStatement:
    """These columns of a stream's live row. `rest`: columns that have a given value."""
    quoted = connections[read_alias()].ops.quote_name
    wanted = "".join(f" AND {quoted(column)} = %s" for column in rest)
    sql = (
        f"SELECT {', '.join(map(quoted, columns))} FROM {quoted(root._meta.db_table)} "
        "WHERE generation = "
        "(SELECT live_generation FROM messaging_projectionstate WHERE name = %s) "
        f"AND stream_id = %s{wanted}"
    )
    # PostgreSQL's names have 63 characters at most, and that of a table may.
    return KeptStatement(f"{name}_{blake2b(sql.encode(), digest_size=8).hexdigest()}", sql)


def live(projection: Projection, model: type[R]) -> QuerySet[R]:
    """The rows that readers see. The generation is looked up in the same statement, so a
    rebuild that switches generations is never seen half done."""
    generation = ProjectionState.objects.filter(name=projection.name).values("live_generation")[:1]
    rows = model._default_manager.filter(generation=generation)
    return rows.filter(**projection.root_filter) if issubclass(model, RootModel) else rows
