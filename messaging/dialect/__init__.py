"""What PostgreSQL and SQLite, and psycopg 2 and 3, do differently.

Nobody else asks which database a connection is of: `dialect_of(connection)` knows how it does
what both can do. The guides to a difference are the methods of `base.Dialect`.
"""

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import BaseDatabaseWrapper

from messaging.dialect.base import Dialect
from messaging.dialect.postgresql import PostgreSQL
from messaging.dialect.sqlite import SQLite

_DIALECTS: dict[str, Dialect] = {"postgresql": PostgreSQL(), "sqlite": SQLite()}


def dialect_of(connection: BaseDatabaseWrapper) -> Dialect:
    try:
        return _DIALECTS[connection.vendor]
    except KeyError:
        raise ImproperlyConfigured(
            f"DATABASES[{connection.alias!r}] is {connection.display_name}: Postlog works on "
            "PostgreSQL and SQLite."
        ) from None
