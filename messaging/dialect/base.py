"""What a database has to say about itself, and to do in its own way."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class Statement(NamedTuple):
    name: str
    sql: str  # with %s for each value, and {names} for what differs: `Dialect.words`


Connection = BaseDatabaseWrapper
Call = tuple[Statement, list[Any]]


class Guards(NamedTuple):
    """SQL that lets a table only grow."""

    preparation: list[str]
    triggers: dict[str, str]  # name -> SQL that creates it


class Dialect(ABC):
    # For the templates of statements. `lock` locks a row and `skip` passes over locked ones. The
    # clock is the database's, because those of the hosts differ; `in_seconds` takes a number, or
    # NULL for never; `seconds` are those since the epoch.
    words: Mapping[str, str]
    # Fields whose values the client takes as they are; asking each field for each value would
    # cost more than the write itself.
    native_fields: tuple[type, ...] = (
        models.IntegerField, models.CharField, models.TextField, models.BooleanField,
    )  # fmt: skip
    # Whether it is a server with sessions, which take locks that end with them, and which several
    # hosts reach; else a file.
    is_server: bool
    can_write_in_ctes: bool  # several writes in one statement
    wake: Statement | None = None  # tells, at the commit, who listens for changes

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def text(self, statement: Statement) -> str:
        """The statement's SQL, with this database's words."""
        found = self._texts.get(statement.name)
        if found is None:
            found = self._texts[statement.name] = statement.sql.format(**self.words)
        return found

    @abstractmethod
    def run(
        self,
        connection: Connection,
        cursor: Any,
        calls: Sequence[Call],
        *,
        begin: bool = False,
        commit: bool = False,
    ) -> None:
        """Execute the statements in their order, and let the cursor return the rows of the last:
        in one round trip where that is one, with BEGIN and COMMIT around them if asked for."""

    def begins(self, connection: Connection) -> bool:
        """Whether the BEGIN of the transaction, which Django has opened, is still to be sent, and
        goes with `run`. If so, `run` or `roll_back` has to end it, too."""
        return False

    def is_broken(self, connection: Connection) -> bool:
        """Whether a statement of the open transaction has failed, so that COMMIT rolls it back."""
        return False

    def roll_back(self, connection: Connection) -> None:
        """End a transaction that `run` has begun."""
        raise NotImplementedError

    @abstractmethod
    def insert(self, cursor: Any, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute an INSERT whose `{}` stands for the rows that follow VALUES."""

    def upsert(
        self,
        cursor: Any,
        table: str,
        columns: Sequence[str],
        on_conflict: str,
        rows: Sequence[Sequence[Any]],
    ) -> None:
        """Insert the rows, or do what `on_conflict` says: an ON CONFLICT clause."""
        if rows:
            sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {{}} {on_conflict}"
            self.insert(cursor, sql, rows)

    @abstractmethod
    def copy(
        self,
        connection: Connection,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
    ) -> None:
        """Insert many rows, whose values the client takes as they are."""

    @abstractmethod
    def next_ids(self, connection: Connection, table: str, column: str, count: int) -> list[int]:
        """Take so many numbers from the sequence of a column, in rising order."""

    @abstractmethod
    def snapshot(
        self, connection: Connection, sql: str, values: Sequence[Any]
    ) -> AbstractContextManager[Any]:
        """A cursor over all rows as they are at one moment, while others write; memory does not
        grow with it. The moment is that of the first fetch at the latest. The connection serves
        nothing else, and is closed afterwards."""

    @abstractmethod
    def read_at_one_moment(self, connection: Connection) -> None:
        """Let all statements of the transaction that has just begun see the same moment."""

    @abstractmethod
    def read_what_is_committed(self, connection: Connection) -> None:
        """Let each statement of the transaction that has just begun see what was committed before
        it, also what it has waited for, whatever isolation level the settings have."""

    @abstractmethod
    def hold(self, connection: Connection, name: str, *, alone: bool) -> bool:
        """Take a named lock until the transaction ends: alone, or with others that do not hold it
        alone. They are served in the order in which they came. The transaction has written, or
        will before it reads what the lock is about. Returns whether it sees what those before it
        have committed."""

    @abstractmethod
    def not_in(self, column: str, values: Collection[Any]) -> tuple[str, list[Any]]:
        """A condition, and its values."""

    def change_mark(self, connection: Connection) -> int | None:
        """A number that changes whenever another connection commits; None where asking for it would
        cost as much as looking."""
        return None

    @abstractmethod
    def among(self, column: str, select: str) -> str:
        """A condition: the column has one of the few values that are selected."""

    @abstractmethod
    def uuid_text(self, column: str) -> str:
        """SQL for the canonical form of a UUID."""

    ids_mark = ""  # takes many ids at once, as `{1f3e…,8c0a…}`; empty: there is none
    uuid_mark: str  # stands for the canonical form or the 32 digits of one

    @abstractmethod
    def octets(self, column: str) -> str:
        """SQL for how many bytes a text has."""

    @abstractmethod
    def guards(self, table: str, message: str) -> Guards: ...

    @abstractmethod
    def drop_trigger(self, name: str, table: str) -> str: ...

    triggers_of: str  # SQL for the names of the triggers of a table

    def is_read_only(self, connection: Connection) -> bool:
        return False

    def is_replica(self, connection: Connection) -> bool:
        return False

    def oldest_snapshot_s(self, connection: Connection) -> float | None:
        """The age in seconds of the oldest snapshot that a session holds open: while it is, dead
        rows stay. None where they do not."""
        return None

    @abstractmethod
    def allow_idle_transactions(self, connection: Connection) -> None:
        """In this session: nobody ends it while it computes between two statements."""

    def exists(self, connection: Connection) -> bool:
        """Whether it may be asked without making it."""
        return True


def marks(count: int) -> str:
    return "(" + ", ".join(["%s"] * count) + ")"
