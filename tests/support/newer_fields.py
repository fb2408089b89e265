"""Models with a field more, as newer code has them, while older code runs elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, models

from messaging.projections import bulk_sql
from messaging.projections.serving import live


@contextmanager
def added_field(model: type[models.Model], name: str, field: Any) -> Iterator[Any]:
    """The field in this process. The table is as it was: `add_column` changes that."""
    field.contribute_to_class(model, name)
    _forget_what_was_worked_out()
    try:
        yield field
    finally:
        model._meta.local_fields.remove(field)
        model._meta._expire_cache()  # type: ignore[attr-defined]
        delattr(model, name)
        _forget_what_was_worked_out()


def add_column(model: type[models.Model], field: Any) -> None:
    """What `migrate` does for an AddField."""
    with connections["read"].schema_editor() as editor:
        editor.add_field(model, field)


def _forget_what_was_worked_out() -> None:
    bulk_sql._columns.cache_clear()
    live._root_row.cache_clear()
