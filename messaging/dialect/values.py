"""Values for plain SQL, as Django's fields store them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import FloatField, Func

from messaging.dialect import dialect_of
from messaging.dialect.sessions import answer


def db_uuid(connection: BaseDatabaseWrapper, value: UUID) -> Any:
    """As UUIDField does."""
    return value if connection.features.has_native_uuid_field else value.hex


def as_uuid(value: UUID | str) -> UUID:
    """The other way round: plain SQL gives a UUID on PostgreSQL, 32 digits on SQLite."""
    return value if isinstance(value, UUID) else UUID(hex=value)


def db_time(connection: BaseDatabaseWrapper, value: datetime) -> Any:
    """As DateTimeField does."""
    return connection.ops.adapt_datetimefield_value(value)


def sql_now(connection: BaseDatabaseWrapper) -> str:
    """The database's clock, as SQL for a statement with parameters; as Django's `Now()`."""
    return dialect_of(connection).words["now"]


def database_now(connection: BaseDatabaseWrapper) -> datetime:
    """What the database's clock shows."""
    found = answer(connection, f"SELECT {sql_now(connection)}", [])
    return found if isinstance(found, datetime) else datetime.fromisoformat(f"{found}+00:00")


class SecondsNow(Func):
    """The database's clock, in seconds since the epoch: hosts' own clocks differ."""

    output_field = FloatField()

    def as_sql(
        self, compiler: Any, connection: BaseDatabaseWrapper, *args: Any, **context: Any
    ) -> Any:
        return dialect_of(connection).words["seconds"], []
