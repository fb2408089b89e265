"""The rows that one batch of events needs: loaded at once, changed in memory, written at once."""

import re
import traceback
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from django.db import DataError, IntegrityError, OperationalError

from messaging.codec import RecordedEvent, own_copy
from messaging.dialect.psycopg import sqlstate
from messaging.exceptions import PostlogError, TooManyFailures
from messaging.message import Envelope
from messaging.projections import bulk_sql
from messaging.projections.bulk_sql import Key
from messaging.projections.read_models import ReadModel, RootModel, TotalModel
from messaging.projections.registry import Applier, Projection, no_rows
from messaging.transient import is_away, is_beyond_limits

R = TypeVar("R", bound=ReadModel)

NOT_NULL = "23502"  # PostgreSQL's SQLSTATE
SQLITE_NOT_NULL = re.compile(r"NOT NULL constraint failed: (\w+)\.(\w+)")


class ForeignRow(PostlogError):
    """A projection touched a row of another stream. Two consumers would lose each other's
    changes, although every checkpoint is right: keep totals across streams in a projection with
    `single_owner=True`."""


class UndeclaredRow(PostlogError):
    """A projection asked for a row that its `rows=` did not name, so it was not loaded."""


class RefusedRows(PostlogError):
    """The database did not take what a batch asked for or wrote. One of its events is at fault."""


class MissingRow(PostlogError):
    """A row that earlier events must have made is not there."""


class RowBatch:
    """Rows of one generation, by key. After an exception of `apply` it must not be used."""

    def __init__(self, projection: Projection, generation: int) -> None:
        self._projection = projection
        self._generation = generation
        self._root_rest = tuple(projection.root_filter.values())
        # model -> key -> the row, or None for one that is not there (any more)
        self._rows: dict[type[ReadModel], dict[Key, Any]] = defaultdict(dict)
        self._changed: dict[type[ReadModel], set[Key]] = defaultdict(set)
        self._emptied: dict[type[ReadModel], set[UUID]] = defaultdict(set)
        self.has_stored = False  # whether any row that was asked for is in the database
        # By the number of the stream's id, because a UUID is hashed in Python: the roots that were
        # asked for before, and the streams that have advanced.
        self._roots: dict[int, RootModel] = {}
        self._advanced: dict[int, UUID] = {}

    def load(self, events: Iterable[RecordedEvent]) -> None:
        """Load what the events declare: their roots, and what `rows=` names.

        Raises `RefusedRows` if the database refuses a key, or `rows=` an event.
        """
        wanted: dict[type[ReadModel], set[Key]] = defaultdict(set)
        streams: dict[int, UUID] = {}
        for recorded in events:
            stream_id = recorded.envelope.stream_id
            streams[stream_id.int] = stream_id
            for model, *key in self._declared(recorded):
                wanted[model].add(full_key(model, stream_id, key))
        wanted[self._projection.root] |= {self._root_key(one) for one in streams.values()}
        for model, keys in wanted.items():
            rows = self._rows[model]
            missing = keys - rows.keys()
            rows.update(dict.fromkeys(missing))
            with refusals(self._projection):
                found = bulk_sql.load(model, self._generation, missing)
            if strange := found.keys() - missing:  # left out, it would be overwritten as if new
                raise RefusedRows(
                    f"{model.__name__}: rows= named a key that the database holds as "
                    f"{min(strange)}. Name it with values of the fields' types."
                )
            rows.update(found)
            self.has_stored = self.has_stored or bool(found)

    def _declared(self, recorded: RecordedEvent) -> Iterable[tuple[Any, ...]]:
        applier = self._projection.appliers.get(type(recorded.event))
        if applier is None or applier.row_keys is no_rows:
            return ()
        try:
            return list(applier.row_keys(recorded.event, recorded.envelope))
        except Exception as error:
            if is_away(error):
                raise
            raise RefusedRows(traceback.format_exc()) from error

    def root(self, stream_id: UUID) -> RootModel | None:
        row = self._roots.get(stream_id.int)
        if row is None:
            row = self._rows[self._projection.root].get(self._root_key(stream_id))
            if row is not None:
                self._roots[stream_id.int] = row
        return row

    def _root_key(self, stream_id: UUID) -> Key:
        return (stream_id, *self._root_rest)

    def apply(self, recorded: RecordedEvent) -> None:
        """Apply the event, and advance its stream. Raises what the projection's function raises."""
        root = self._root_of(recorded.envelope.stream_id)
        applier = self._projection.appliers.get(type(recorded.event))
        if applier is not None:
            applier.apply(root, own_copy(recorded.event), Rows(self, recorded, applier))
        self._advance(root, recorded.envelope)

    def skip(self, envelope: Envelope) -> None:
        """Advance the stream past an event that was given up."""
        self._advance(self._root_of(envelope.stream_id), envelope)

    def _put(self, model: type[ReadModel], key: Key, row: ReadModel | None) -> None:
        self._rows[model][key] = row
        self._changed[model].add(key)
        if model is self._projection.root:
            self._roots.clear()

    def _root_of(self, stream_id: UUID) -> RootModel:
        root = self.root(stream_id)
        if root is None:
            root = self._projection.root(
                generation=self._generation, stream_id=stream_id, **self._projection.root_filter
            )
            self._rows[self._projection.root][self._root_key(stream_id)] = root
        return root

    def _advance(self, root: RootModel, envelope: Envelope) -> None:
        root.version = envelope.version
        root.event_id = envelope.event_id
        self._advanced[envelope.stream_id.int] = envelope.stream_id

    def all_rows(self) -> dict[type[ReadModel], dict[Key, ReadModel]]:
        """The rows that exist now."""
        return {
            model: {key: row for key, row in rows.items() if row is not None}
            for model, rows in self._rows.items()
        }

    def forget_streams(self) -> None:
        """Drop the streams' roots, once whole streams are folded; the other rows stay."""
        self._rows[self._projection.root].clear()
        self._changed[self._projection.root].clear()
        self._roots.clear()
        self._advanced.clear()

    def write(self, *, insert_only: bool = False) -> None:
        """Write the changed rows. Raises `RefusedRows` if the database refuses a value, and
        `TooManyFailures` if it requires one for a column that this code does not know.

        `insert_only`: these streams have no rows yet.
        """
        with refusals(self._projection):
            self._write(bulk_sql.insert if insert_only else bulk_sql.upsert)

    def _write(self, put: Callable[[type[ReadModel], list[Any]], None]) -> None:
        """Delete, then upsert with one statement for each model."""
        advanced = {self._root_key(stream_id) for stream_id in self._advanced.values()}
        self._changed[self._projection.root] |= advanced
        for model in self._projection.models:
            rows = self._rows[model]
            changed = {key: rows[key] for key in self._changed[model]}
            for key, row in changed.items():
                if row is not None and bulk_sql.key_of(row) != key:
                    raise ForeignRow(f"{model.__name__}: the key {key} of a row was changed.")
            bulk_sql.delete(model, self._generation, sorted((s,) for s in self._emptied[model]))
            bulk_sql.delete(
                model, self._generation, [k for k, row in changed.items() if row is None]
            )
            put(model, [row for row in changed.values() if row is not None])


def full_key(model: type[ReadModel], stream_id: UUID, key: Iterable[Any]) -> Key:
    """Of the row that an event of this stream means by `key`."""
    return tuple(key) if issubclass(model, TotalModel) else (stream_id, *key)


@contextmanager
def refusals(projection: Projection) -> Iterator[None]:
    """Wrap the statements of one batch: an error about a value becomes `RefusedRows`, or
    `TooManyFailures`."""
    try:
        yield
    except (DataError, IntegrityError, OperationalError, ValueError, OverflowError) as error:
        if isinstance(error, OperationalError) and not is_beyond_limits(error):
            raise  # the database is away
        if (column := unknown_column(projection.models, error)) is not None:
            raise TooManyFailures(NEWER_COLUMN.format(column=column)) from error
        # psycopg2 says ValueError, by itself, to a string with NUL.
        raise RefusedRows(str(error)) from error


NEWER_COLUMN = (
    "A migration of newer code added the column {column}, which this code does not know and the "
    "database has no default for: it cannot insert any row. Nothing was parked. Start a consumer "
    "with the newer code. Give the field db_default= or null=True, so that the next deployment "
    "does not stop consumers (`manage.py check`)."
)


def unknown_column(models: Sequence[type[ReadModel]], error: Exception) -> str | None:
    """The column, as table.column, that requires a value and that no model knows."""
    diagnosis: Any = getattr(error.__cause__, "diag", None)  # psycopg's, in no language
    if diagnosis is not None:
        if sqlstate(error) != NOT_NULL:
            return None
        table, column = diagnosis.table_name, diagnosis.column_name
    elif found := SQLITE_NOT_NULL.fullmatch(str(error)):
        table, column = found.groups()
    else:
        return None
    known = {field.column for m in models if m._meta.db_table == table for field in m._meta.fields}
    return None if not known or column in known else f"{table}.{column}"


class Rows:
    """What a projection's function may do besides changing its root row."""

    def __init__(self, batch: RowBatch, recorded: RecordedEvent, applier: Applier) -> None:
        self._batch = batch
        self._declared: Collection[tuple[Any, ...]] = ()
        if applier.row_keys is not no_rows:
            keys = applier.row_keys(recorded.event, recorded.envelope)
            self._declared = {(model, *key) for model, *key in keys}
        self.envelope = recorded.envelope

    def get(self, model: type[R], *key: Any) -> R | None:
        """A row of this stream, or a total, that `rows=` declared; changes to it are written."""
        self._require_declared(model, key)
        full = full_key(model, self.envelope.stream_id, key)
        row: R | None = self._batch._rows[model].get(full)
        if row is not None:
            self._batch._changed[model].add(full)
        return row

    def require(self, model: type[R], *key: Any) -> R:
        """As `get`, for a row that earlier events of the stream must have made."""
        row = self.get(model, *key)
        if row is None:
            raise MissingRow(f"{model.__name__} {key} of stream {self.envelope.stream_id}")
        return row

    def add(self, row: R) -> R:
        """Add a row to this stream, or replace the one with its key; a total must be declared by
        `rows=`. Returns the row."""
        if isinstance(row, TotalModel):  # the one that is there must not be overwritten unseen
            self._require_declared(type(row), bulk_sql.key_of(row))
        elif row.stream_id not in (None, self.envelope.stream_id):
            raise ForeignRow(
                f"{type(row).__name__}: a row of stream {row.stream_id} was added by an event of "
                f"{self.envelope.stream_id}. A row belongs to exactly one stream."
            )
        else:
            row.stream_id = self.envelope.stream_id
        row.generation = self._batch._generation
        key = bulk_sql.key_of(row)
        self._batch._put(type(row), key, row)
        return row

    def delete(self, row: ReadModel) -> None:
        if isinstance(row, TotalModel):
            self._require_declared(type(row), bulk_sql.key_of(row))
        elif row.stream_id != self.envelope.stream_id:
            raise ForeignRow(f"{type(row).__name__}: a row of stream {row.stream_id}.")
        key = bulk_sql.key_of(row)
        self._batch._put(type(row), key, None)

    def delete_all(self, model: type[ReadModel]) -> None:
        """Delete all rows of this model that this stream has."""
        if issubclass(model, TotalModel):
            raise ForeignRow(f"{model.__name__}: its rows belong to no stream. Delete each.")
        stream_id = self.envelope.stream_id
        rows, changed = self._batch._rows[model], self._batch._changed[model]
        for key in [key for key in rows if key[0] == stream_id]:
            rows[key] = None
            changed.discard(key)
        self._batch._emptied[model].add(stream_id)
        self._batch._roots.clear()

    def _require_declared(self, model: type[ReadModel], key: Iterable[Any]) -> None:
        if (model, *key) not in self._declared:
            raise UndeclaredRow(f"{model.__name__} {key}: name it in rows= of @projection.on.")
