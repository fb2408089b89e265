"""A SELECT whose plan each connection keeps, for what is asked at nearly every request."""

from typing import Any

from messaging.dialect import dialect_of
from messaging.dialect.base import Connection, Statement
from messaging.exceptions import ConcurrencyError


class KeptStatement:
    """Plain SQL, by a name that no other has: `KeptStatement("customer_of_key", "SELECT id FROM
    customers_key WHERE key = %s")`. It names its columns: a plan of `*` ends with the next
    migration that adds one. Behind a pooler it is sent without a plan."""

    def __init__(self, name: str, sql: str) -> None:
        self._statement = Statement(name, sql)

    def rows(self, connection: Connection, *values: Any) -> list[tuple[Any, ...]]:
        """The rows as the database driver has them: on SQLite a UUID is 32 digits."""
        try:
            return self._rows(connection, values)
        except ConcurrencyError:  # a migration has changed a column, and the plan has ended
            if connection.in_atomic_block:
                raise
            return self._rows(connection, values)

    def _rows(self, connection: Connection, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            dialect_of(connection).run(connection, cursor, [(self._statement, list(values))])
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
