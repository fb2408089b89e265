"""What differs between psycopg 2 and psycopg 3, which Django prefers where it is installed.

Both bind parameters on the client (Django's default), so several statements may go in one
text. Locks use the same one (sessions.py).
"""

from io import StringIO
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


def copy_text(connection: BaseDatabaseWrapper, sql: str, text: str) -> None:
    """Run COPY ... FROM STDIN with rows in PostgreSQL's text format."""
    with connection.cursor() as cursor, connection.wrap_database_errors:
        native = cursor.cursor
        if hasattr(native, "copy_expert"):
            native.copy_expert(sql, StringIO(text))
        else:
            with native.copy(sql) as copy:
                copy.write(text)


def go_to_last_result(cursor: Any) -> None:
    """Let it return the rows of the last of several statements, as psycopg 2 does by itself."""
    native = cursor.cursor
    if not hasattr(native, "copy_expert"):
        while native.nextset():
            pass


def sqlstate(error: BaseException) -> str | None:
    """PostgreSQL's code of the error, if it has one."""
    for one in (error, error.__cause__):
        state = getattr(one, "sqlstate", None) or getattr(one, "pgcode", None)
        if state is not None:
            return str(state)
    return None
