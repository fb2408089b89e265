"""Both sides in one database, in this process: the write database gets the read side's tables."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.apps import apps
from django.db import connections

from messaging.conf import read_alias
from messaging.projections.registry import Projection
from messaging.router import database_of
from tests.support.settings import postlog


@contextmanager
def one_database() -> Iterator[None]:
    """For the time of a test, whose databases are its own."""
    found = [model for model in apps.get_models() if database_of(model) == read_alias()]
    with postlog(READ_DATABASE="default"), connections["default"].schema_editor() as editor:
        for model in found:
            editor.create_model(model)
    with postlog(READ_DATABASE="default"):
        yield


def make_inline(monkeypatch: pytest.MonkeyPatch, *projections: Projection) -> None:
    """As if these were declared so, until `monkeypatch.undo()`."""
    for projection in projections:
        monkeypatch.setattr(projection, "inline", True)


def writers_lock_is_waited_for() -> bool:
    """Whether somebody waits for the lock between commands and the switch."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return cursor.fetchone() is not None
