"""Read-model rows in bulk: one statement a model to load, to delete and to write.

Plain SQL, because bulk_create with update_conflicts costs twice as much.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, UUIDField, signals
from django.db.models.base import ModelState
from django.db.models.expressions import Col

from messaging.conf import read_alias
from messaging.dialect import dialect_of
from messaging.dialect.base import Dialect, marks
from messaging.dialect.values import sql_now
from messaging.projections.read_models import BY_THE_DATABASE, ReadModel, RootModel, TotalModel

CHUNK = 5_000  # rows of keys in a statement, below SQLite's limit of 32,766 parameters
# What makes of a field's value what is stored.
OF_STORING = ("get_prep_value", "get_db_prep_value", "get_db_prep_save")
OF_MAKING = [one for name, one in vars(signals).items() if name.endswith("_init")]

Key = tuple[Any, ...]  # (stream id, *values of the model's `key` fields); of totals those alone


def load(model: type[ReadModel], generation: int, keys: Iterable[Key]) -> dict[Key, ReadModel]:
    """The rows with these keys. Missing ones are left out."""
    connection = connections[read_alias()]
    columns = _columns(model, dialect_of(connection))
    row_of = columns.row_maker()
    found: dict[Key, ReadModel] = {}
    with connection.cursor() as cursor:
        for chunk in _chunks(list(keys)):
            cursor.execute(*columns.select(generation, chunk))
            for values in columns.read(cursor.fetchall()):
                row = row_of(values)
                found[key_of(row)] = row
    return found


def key_of(row: ReadModel) -> Key:
    key = [getattr(row, name) for name in row.key] if row.key else ()
    return tuple(key) if isinstance(row, TotalModel) else (row.stream_id, *key)


def upsert(model: type[ReadModel], rows: Sequence[ReadModel]) -> None:
    """Write whole rows: insert them, or replace those with the same key."""
    if not rows:
        return
    connection = connections[read_alias()]
    dialect = dialect_of(connection)
    columns = _columns(model, dialect)
    values = [columns.row_values(row) for row in rows]
    with connection.cursor() as cursor:
        dialect.upsert(cursor, columns.table, columns.names, columns.on_conflict, values)


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


def row_maker(model: type[ReadModel]) -> Callable[[Sequence[Any]], Any]:
    """A function from the values of all columns, in the order of the fields, to the row."""
    return _columns(model, dialect_of(connections[read_alias()])).row_maker()


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
        fields = [
            f
            for f in model._meta.concrete_fields
            if not f.primary_key and f.name != BY_THE_DATABASE
        ]
        self._model = model
        self.table = connection.ops.quote_name(model._meta.db_table)
        self.names = [connection.ops.quote_name(str(f.column)) for f in fields]
        self._values = attrgetter(*(f.attname for f in fields))
        self.key = model.key if issubclass(model, TotalModel) else ("stream_id", *model.key)
        self._on_key = " AND ".join(f"t.{name} = k.column{n}" for n, name in enumerate(self.key, 1))
        adapters = [_adapter(field, connection, native) for field in fields]
        self._adapters = [(n, adapt) for n, adapt in enumerate(adapters) if adapt]
        self.all_native = not self._adapters
        self._key_adapters = [
            _key_adapter(model._meta.get_field(name), connection, native) for name in self.key
        ]
        is_uuid = [isinstance(model._meta.get_field(name), UUIDField) for name in self.key]
        self._key_marks = f"({', '.join(dialect.uuid_mark if one else '%s' for one in is_uuid)})"
        self._ids_mark = dialect.ids_mark if self.key == ("stream_id",) else ""
        key_columns = ("generation", *self.key)
        updates = [n for n, f in zip(self.names, fields, strict=True) if f.name not in key_columns]
        sets = [f"{name} = EXCLUDED.{name}" for name in updates]
        if issubclass(model, RootModel):
            sets.append(f"{BY_THE_DATABASE} = {sql_now(connection)}")
        self.on_conflict = f"ON CONFLICT ({', '.join(key_columns)}) DO " + (
            f"UPDATE SET {', '.join(sets)}" if sets else "NOTHING"
        )
        self._note_reading(connection, dialect, native)

    def _note_reading(
        self, connection: BaseDatabaseWrapper, dialect: Dialect, native: tuple[type, ...]
    ) -> None:
        """Note how a row is read: its columns, and what makes a field's value of a column's."""
        fields = self._model._meta.concrete_fields
        columns = [f"t.{connection.ops.quote_name(str(f.column))}" for f in fields]
        # As text, which msgspec makes ids of at once: the client would call Python for each.
        as_text = [isinstance(f, UUIDField) and isinstance(f, native) for f in fields]
        self._selected = ", ".join(
            dialect.uuid_text(column) if is_id else column
            for column, is_id in zip(columns, as_text, strict=True)
        )
        types = tuple(UUID | None if is_id else Any for is_id in as_text)
        self._rows_type = list[tuple[types]] if any(as_text) else None  # type: ignore[valid-type]
        self._attnames = [f.attname for f in fields]
        self._attributes = frozenset({"_state", *self._attnames})
        self._converters = []
        for n, column in enumerate(Col("t", field) for field in fields):
            ways = connection.ops.get_db_converters(column) + column.get_db_converters(connection)
            if ways:
                self._converters.append((n, column, ways))
        self._is_plain = (
            self._model.__init__ is Model.__init__
            and self._model.from_db.__func__ is Model.from_db.__func__  # type: ignore[attr-defined]
            and not any(hasattr(getattr(self._model, f.attname), "__set__") for f in fields)
        )

    def select(self, generation: int, keys: Sequence[Key]) -> tuple[str, list[Any]]:
        """A statement for the rows with these keys, and its values."""
        what = f"SELECT {self._selected} FROM"
        if self._ids_mark:
            ids = ",".join([_digits(one) for (one,) in keys])
            where = f"t.generation = %s AND t.{self.key[0]} = ANY({self._ids_mark})"
            return f"{what} {self.table} t WHERE {where}", [generation, f"{{{ids}}}"]
        # The first key says of which types all are.
        all_marks = ", ".join([self._key_marks, *[marks(len(self.key))] * (len(keys) - 1)])
        params = [value for key in keys for value in self.key_values(key)]
        return (
            f"{what} (VALUES {all_marks}) AS k "
            f"JOIN {self.table} t ON t.generation = %s AND {self._on_key}"
        ), [*params, generation]

    def read(self, fetched: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The values of what `select` selects."""
        if self._rows_type is None:
            return fetched
        found: list[tuple[Any, ...]] = msgspec.convert(fetched, self._rows_type)
        return found

    def row_maker(self) -> Callable[[Sequence[Any]], Any]:
        """A function from a row's values to the row. Django's own costs as much as the rest of
        loading; it is left out where nobody can tell: no signal, no descriptor, no `__init__`."""
        connection, model, names = connections[read_alias()], self._model, self._attnames
        converters = self._converters

        def converted(values: Sequence[Any]) -> Sequence[Any]:
            found = list(values)
            for n, column, ways in converters:
                for way in ways:
                    found[n] = way(found[n], column, connection)
            return found

        def quickly(values: Sequence[Any]) -> Any:
            row = model.__new__(model)
            row.__dict__.update(
                zip(names, converted(values) if converters else values, strict=True)
            )
            row._state = state = ModelState()
            state.db, state.adding = connection.alias, False
            return row

        def as_django(values: Sequence[Any]) -> Any:
            return model.from_db(connection.alias, names, converted(values))

        watched = any(one.has_listeners(model) for one in OF_MAKING)
        return quickly if self._is_plain and not watched else as_django

    def row_values(self, row: ReadModel) -> Sequence[Any]:
        """Raises `ValueError` if the row has an attribute that is no column: a function has
        misspelt one, and what it has set would be lost without a word."""
        if not self._attributes.issuperset(row.__dict__):
            for name in row.__dict__.keys() - self._attributes:
                if not (name.startswith("_") or hasattr(type(row), name)):
                    raise ValueError(f"{type(row).__name__} has no column {name!r}.")
        found: tuple[Any, ...] = self._values(row)
        if not self._adapters:
            return found
        values = list(found)
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


def _is_native(field: Any, native: tuple[type, ...]) -> bool:
    """Whether the client stores the field's values as they are. A field that derives from such a
    one may make others of them, such as encrypted ones."""
    ways = [getattr(type(field), name) for name in OF_STORING]
    return isinstance(field, native) and all(one.__module__.startswith("django.") for one in ways)


def _adapter(
    field: Any, connection: BaseDatabaseWrapper, native: tuple[type, ...]
) -> Callable[[Any], Any] | None:
    if _is_native(field, native):
        return None
    return lambda value: field.get_db_prep_save(value, connection=connection)


def _key_adapter(
    field: Any, connection: BaseDatabaseWrapper, native: tuple[type, ...]
) -> Callable[[Any], Any] | None:
    if isinstance(field, UUIDField) and _is_native(field, native):
        return _digits
    return _adapter(field, connection, native)


def _digits(value: Any) -> Any:
    return f"{value.int:032x}" if isinstance(value, UUID) else value


def _chunks(keys: list[Key]) -> Iterable[list[Key]]:
    for start in range(0, len(keys), CHUNK):
        yield keys[start : start + CHUNK]
