"""The errors of the database in which the embedded log is, as a bus's."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError, connections

from messaging.conf import write_alias
from messaging.exceptions import BusError
from messaging.transient import is_away


@contextmanager
def bus_errors() -> Iterator[None]:
    """The database is the broker here: when it is away, the bus is."""
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        if not is_away(error):
            raise
        if not connections[write_alias()].in_atomic_block:
            connections[write_alias()].close()
        raise BusError(f"the embedded log's database: {error}") from error
