"""What PostgreSQL and SQLite, and psycopg 2 and 3, do differently.

No other module asks which database a connection belongs to: `dialect_of(connection)` does what
both can do, each in its own way. Add what differs to `base.Dialect`, with both implementations.
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
