"""A column of words with an index of the database's own: tsvector with GIN on PostgreSQL, FTS5 on
SQLite. In Python its value is what `words_of` returns.
"""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Lookup

POSTGRESQL = "postgresql"
Sql = tuple[str, tuple[str]]


class WordsField(models.TextField):  # type: ignore[type-arg]  # generic for mypy alone
    """A text for Django, and for whatever writes it in bulk: both databases take its words as they
    are, letters and digits with spaces between them."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        if connection.vendor == POSTGRESQL:
            return "tsvector"
        return super().db_type(connection)

    def from_db_value(self, value: str | None, _: Any, connection: BaseDatabaseWrapper) -> Any:
        """PostgreSQL shows them quoted, in an order of its own."""
        if value is None or connection.vendor != POSTGRESQL:
            return value
        return " ".join(sorted(word.strip("'") for word in value.split()))


@WordsField.register_lookup
class Has(Lookup):
    """All of these words are in the column, as `words_of` returns them. Whether it looks into the
    index or at each row, the database decides."""

    lookup_name = "has"

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> Sql:
        if connection.vendor == POSTGRESQL:
            column, _ = self.process_lhs(compiler, connection)
            return f"{column} @@ %s::tsquery", self._all("'", " & ")
        index = index_of(self._model)
        found = f"SELECT rowid FROM {index} WHERE {index} MATCH %s"
        return f"{self._id(connection)} IN ({found})", self._all('"', " AND ")

    def _all(self, mark: str, joined_by: str) -> tuple[str]:
        """Words are of letters and digits alone; quoted, none is an operator."""
        return (joined_by.join(f"{mark}{word}{mark}" for word in str(self.rhs).split()),)

    def _id(self, connection: BaseDatabaseWrapper) -> str:
        quoted = connection.ops.quote_name
        return f"{quoted(self.lhs.alias)}.{quoted(self._model._meta.pk.column)}"

    @property
    def _model(self) -> Any:
        return self.lhs.target.model


@WordsField.register_lookup
class InIndex(Has):
    """As `has`, by the index in any case. The planner multiplies how frequent each word is, so it
    takes words that never stand together for frequent ones, and would read the whole table."""

    lookup_name = "in_index"

    def as_sql(self, compiler: Any, connection: BaseDatabaseWrapper) -> Sql:
        if connection.vendor != POSTGRESQL:
            return super().as_sql(compiler, connection)
        quoted = connection.ops.quote_name
        id_column, words = self._model._meta.pk.column, self.lhs.target.column
        found = (
            f"SELECT {quoted(id_column)} FROM {quoted(self._model._meta.db_table)} "
            f"WHERE {quoted(words)} @@ %s::tsquery"
        )
        return f"{self._id(connection)} = ANY(ARRAY({found}))", self._all("'", " & ")


def index_of(model: type[models.Model]) -> str:
    """The name of the index, on SQLite of a table."""
    return f"{model._meta.db_table}_index"


def create_index(model: type[models.Model], column: str, editor: BaseDatabaseSchemaEditor) -> None:
    """For a migration: the index, which the database keeps as the rows are."""
    table, index = model._meta.db_table, index_of(model)
    if editor.connection.vendor == POSTGRESQL:
        editor.execute(f"CREATE INDEX {index} ON {table} USING gin ({column})")
        return
    # The words stand in the rows alone. `ascii` takes all but spaces for part of a word, in texts
    # without punctuation.
    editor.execute(
        f"CREATE VIRTUAL TABLE {index} USING fts5({column}, content='{table}', "
        "content_rowid='id', detail=none, tokenize='ascii')"
    )
    add = f"INSERT INTO {index} (rowid, {column}) VALUES (new.id, new.{column})"
    drop = f"INSERT INTO {index} ({index}, rowid, {column}) VALUES ('delete', old.id, old.{column})"
    for event, steps in (
        ("INSERT", [add]),
        ("DELETE", [drop]),
        (f"UPDATE OF {column}", [drop, add]),
    ):
        name = f"{table}_{event.split()[0].lower()}"
        body = "; ".join(steps)
        editor.execute(f"CREATE TRIGGER {name} AFTER {event} ON {table} BEGIN {body}; END")


def drop_index(model: type[models.Model], editor: BaseDatabaseSchemaEditor) -> None:
    """For a migration that goes back; on SQLite triggers go with the table of the rows."""
    if editor.connection.vendor == POSTGRESQL:
        editor.execute(f"DROP INDEX {index_of(model)}")
        return
    for event in ("insert", "delete", "update"):
        editor.execute(f"DROP TRIGGER {model._meta.db_table}_{event}")
    editor.execute(f"DROP TABLE {index_of(model)}")
