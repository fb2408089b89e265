"""Triggers by which the database itself refuses to change, delete or truncate events."""

from django.db.backends.base.base import BaseDatabaseWrapper

MESSAGE = "events are append-only"
TABLE = "messaging_eventstore_event"

SQLITE = {
    f"events_refuse_{action.lower()}": (
        f"CREATE TRIGGER events_refuse_{action.lower()} BEFORE {action} ON {TABLE} "
        f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    )
    for action in ("UPDATE", "DELETE")
}
POSTGRESQL_FUNCTION = (
    "CREATE OR REPLACE FUNCTION messaging_eventstore_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{MESSAGE}'; END $$"
)
POSTGRESQL = {
    f"events_refuse_{action.lower()}": (
        f"CREATE TRIGGER events_refuse_{action.lower()} BEFORE {action} ON {TABLE} "
        "FOR EACH STATEMENT EXECUTE FUNCTION messaging_eventstore_refuse()"
    )
    for action in ("UPDATE", "DELETE", "TRUNCATE")
}


def create_triggers(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL_FUNCTION)
        for sql in _wanted(connection).values():
            cursor.execute(sql)


def drop_triggers(connection: BaseDatabaseWrapper) -> None:
    on_table = f" ON {TABLE}" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        for name in _wanted(connection):
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}{on_table}")


def missing_triggers(connection: BaseDatabaseWrapper) -> list[str]:
    """List the triggers that the database lacks; none before the first migration."""
    if connection.vendor == "postgresql":
        sql = "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgenabled = 'O'"
    else:
        sql = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s"
    if TABLE not in connection.introspection.table_names():
        return []
    with connection.cursor() as cursor:
        cursor.execute(sql, [TABLE])
        present = {name for (name,) in cursor.fetchall()}
    return [name for name in _wanted(connection) if name not in present]


def _wanted(connection: BaseDatabaseWrapper) -> dict[str, str]:
    return POSTGRESQL if connection.vendor == "postgresql" else SQLITE
