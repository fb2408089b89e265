"""Triggers by which the database itself refuses to change, delete or truncate events."""

from django.db.backends.base.base import BaseDatabaseWrapper

from messaging.dialect import dialect_of
from messaging.dialect.base import Guards

MESSAGE = "events are append-only"
TABLE = "messaging_event"


def create_triggers(connection: BaseDatabaseWrapper) -> None:
    guards = _guards(connection)
    with connection.cursor() as cursor:
        for sql in (*guards.preparation, *guards.triggers.values()):
            cursor.execute(sql)


def drop_triggers(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        for name in _guards(connection).triggers:
            cursor.execute(dialect_of(connection).drop_trigger(name, TABLE))


def missing_triggers(connection: BaseDatabaseWrapper) -> list[str]:
    """List the triggers that the database lacks; none before the first migration."""
    if TABLE not in connection.introspection.table_names():
        return []
    with connection.cursor() as cursor:
        cursor.execute(dialect_of(connection).triggers_of, [TABLE])
        present = {name for (name,) in cursor.fetchall()}
    return [name for name in _guards(connection).triggers if name not in present]


def _guards(connection: BaseDatabaseWrapper) -> Guards:
    return dialect_of(connection).guards(TABLE, MESSAGE)
