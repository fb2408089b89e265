"""Read-model rows in bulk: one statement a model to load, to delete and to write.

Plain SQL, because bulk_create with update_conflicts costs twice as much.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from messaging.conf import read_alias
from messaging.dialect import dialect_of
from messaging.dialect.base import Dialect, marks
from messaging.projections.read_models import ReadModel, TotalModel

CHUNK = 5_000  # rows of keys in a statement, below SQLite's limit of 32,766 parameters

Key = tuple[Any, ...]  # (stream id, *values of the model's `key` fields); of totals those alone


def load(model: type[ReadModel], generation: int, keys: Iterable[Key]) -> dict[Key, ReadModel]:
    """The rows with these keys. Missing ones are left out."""
    columns = _columns(model, dialect_of(connections[read_alias()]))
    found: dict[Key, ReadModel] = {}
    for chunk in _chunks(list(keys)):
        all_marks = ", ".join([marks(len(columns.key))] * len(chunk))
        sql = (
            f"SELECT t.* FROM (VALUES {all_marks}) AS k JOIN {columns.table} t "
            f"ON t.generation = %s AND {columns.on_key}"
        )
        params = [value for key in chunk for value in columns.key_values(key)]
        for row in model._default_manager.using(read_alias()).raw(sql, [*params, generation]):
            found[key_of(row)] = row
    return found


def key_of(row: ReadModel) -> Key:
    key = tuple(getattr(row, name) for name in row.key)
    return key if isinstance(row, TotalModel) else (row.stream_id, *key)


def upsert(model: type[ReadModel], rows: Sequence[ReadModel]) -> None:
    """Write whole rows: insert them, or replace those with the same key."""
    if not rows:
        return
    connection = connections[read_alias()]
    dialect = dialect_of(connection)
    columns = _columns(model, dialect)
    with connection.cursor() as cursor:
        dialect.insert(cursor, columns.upsert, [columns.row_values(row) for row in rows])


def insert(model: type[ReadModel], rows: Sequence[ReadModel]) -> None:
    """Write new rows: by COPY where all values are native (on SQLite the ids are not), at a third
    of the cost."""
    connection = connections[read_alias()]
    dialect = dialect_of(connection)
    columns = _columns(model, dialect)
    if not columns.all_native:
        upsert(model, rows)
        return
    dialect.copy(connection, columns.table, columns.names, map(columns.row_values, rows))


def delete(model: type[ReadModel], generation: int, keys: Sequence[Key]) -> None:
    """Delete the rows with these keys; a key may stop at the stream id: all its rows."""
    if not keys:
        return
    connection = connections[read_alias()]
    columns = _columns(model, dialect_of(connection))
    names = ["generation", *columns.key[: len(keys[0])]]
    where = " AND ".join(f"{name} = %s" for name in names)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"DELETE FROM {columns.table} WHERE {where}",
            [[generation, *columns.key_values(key)] for key in keys],
        )


class _Columns:
    """What the statements need to know of a model, computed once."""

    def __init__(self, model: type[ReadModel], dialect: Dialect) -> None:
        connection, native = connections[read_alias()], dialect.native_fields
        fields = [f for f in model._meta.concrete_fields if not f.primary_key]
        self.table = connection.ops.quote_name(model._meta.db_table)
        self.names = [connection.ops.quote_name(str(f.column)) for f in fields]
        self.attnames = [f.attname for f in fields]
        self.key = model.key if issubclass(model, TotalModel) else ("stream_id", *model.key)
        self.on_key = " AND ".join(f"t.{name} = k.column{n}" for n, name in enumerate(self.key, 1))
        adapters = [_adapter(field, connection, native) for field in fields]
        self._adapters = [(n, adapt) for n, adapt in enumerate(adapters) if adapt]
        self.all_native = not self._adapters
        self._key_adapters = [
            _adapter(model._meta.get_field(name), connection, native) for name in self.key
        ]
        key_columns = ("generation", *self.key)
        updates = [n for n, f in zip(self.names, fields, strict=True) if f.name not in key_columns]
        setters = ", ".join(f"{name} = EXCLUDED.{name}" for name in updates)
        self.upsert = (
            f"INSERT INTO {self.table} ({', '.join(self.names)}) VALUES {{}} "
            f"ON CONFLICT ({', '.join(key_columns)}) DO "
            + (f"UPDATE SET {setters}" if updates else "NOTHING")
        )

    def row_values(self, row: ReadModel) -> list[Any]:
        values = [getattr(row, name) for name in self.attnames]
        for n, adapt in self._adapters:
            if values[n] is not None:
                values[n] = adapt(values[n])
        return values

    def key_values(self, key: Key) -> list[Any]:
        return [
            adapt(value) if adapt else value
            for value, adapt in zip(key, self._key_adapters, strict=False)
        ]


@cache
def _columns(model: type[ReadModel], dialect: Dialect) -> _Columns:
    return _Columns(model, dialect)


def _adapter(
    field: Any, connection: BaseDatabaseWrapper, native: tuple[type, ...]
) -> Callable[[Any], Any] | None:
    if isinstance(field, native):
        return None
    return lambda value: field.get_db_prep_save(value, connection=connection)


def _chunks(keys: list[Key]) -> Iterable[list[Key]]:
    for start in range(0, len(keys), CHUNK):
        yield keys[start : start + CHUNK]
