"""The transaction of a command, in as few round trips as the database can do with.

BEGIN goes with the first statement. What is written waits, and goes with the next statement that
reads, or with COMMIT.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError

from messaging.conf import write_alias
from messaging.dialect import dialect_of
from messaging.dialect.base import Call, Statement
from messaging.exceptions import NoTransaction, WithinTransaction

BROKEN = (
    "A statement of the handler has failed, and it went on all the same: PostgreSQL would store "
    "nothing. Put what may fail into transaction.atomic()."
)


class Transaction:
    """An open transaction: what of it the database has not heard of yet."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._dialect = dialect_of(connection)
        self._has_begun = False  # by a BEGIN of ours, which our COMMIT or ROLLBACK has to end
        self._waiting: list[Call] = []
        self._is_running = False  # a statement of the event store
        self._error: BaseException | None = None  # with which one has failed
        self._part = 0  # how much of what waits was written before it
        self._part_stays = False
        self._part_hooks = 0  # what waited for the commit before it
        self.ahead: dict[UUID, list[Any]] = {}  # streams that were loaded before they are asked for

    def begin_part(self) -> None:
        """Begin what `take_back` takes back."""
        self._part, self._part_stays = len(self._waiting), False
        self._part_hooks = len(self._connection.run_on_commit)

    def take_back(self) -> bool:
        """Forget what the part has written. False if it cannot: some of it is sent, or it has
        executed statements of its own, or something is to be done after the commit."""
        del self._waiting[self._part :]
        has_hooks = len(self._connection.run_on_commit) > self._part_hooks
        return not self._part_stays and not has_hooks

    def wait(self, calls: list[Call]) -> None:
        self._waiting += calls

    def run(self, cursor: Any, calls: list[Call], *, commit: bool = False) -> None:
        self._require_no_error()
        begin = not self._has_begun and self._dialect.begins(self._connection)
        self._has_begun |= begin
        self._part_stays |= len(self._waiting) > self._part
        calls, self._waiting, self._part = [*self._waiting, *calls], [], 0
        self._is_running = True
        try:
            self._dialect.run(
                self._connection, cursor, calls, begin=begin, commit=commit and self._has_begun
            )
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._is_running = False

    def flush_first(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Let any other statement, such as one of the ORM, find what was written before it."""
        if not self._is_running:
            self._part_stays = True
            if str(sql).startswith("ROLLBACK TO SAVEPOINT"):
                # All that waits was written behind the savepoint.
                self._waiting, self._error = [], None
            elif self._waiting or self._error is not None:
                self.flush()
        return execute(sql, params, many, context)

    def flush(self) -> None:
        with self._connection.cursor() as cursor:
            self.run(cursor, [])

    def commit(self) -> None:
        """Raises what has broken the transaction, even if the handler has caught it: COMMIT would
        roll back and not say so."""
        self._require_no_error()
        self._connection.validate_no_broken_transaction()
        if self._dialect.is_broken(self._connection):
            raise TransactionManagementError(BROKEN)
        if self._waiting or self._has_begun:
            with self._connection.cursor() as cursor:
                self.run(cursor, [], commit=True)

    def _require_no_error(self) -> None:
        if self._error is not None:
            raise self._error

    def roll_back(self) -> None:
        self._waiting, self._error = [], None
        if self._has_begun:
            self._dialect.roll_back(self._connection)


# One a connection: while it is there, what is written waits.
_open: WeakKeyDictionary[BaseDatabaseWrapper, Transaction] = WeakKeyDictionary()


@contextmanager
def durable_transaction() -> Iterator[Transaction]:
    """Open a transaction in the write database, as Django's `atomic(durable=True)` does. Raises
    `WithinTransaction`."""
    alias = write_alias()
    with ExitStack() as stack:
        try:
            stack.enter_context(transaction.atomic(using=alias, durable=True))
        except RuntimeError as error:  # Django's
            raise WithinTransaction(alias) from error
        connection = connections[alias]
        found = _open[connection] = Transaction(connection)
        try:
            with connection.execute_wrapper(found.flush_first):
                yield found
                found.commit()
        except BaseException:
            found.roll_back()
            raise
        finally:
            del _open[connection]


def transaction_of(connection: BaseDatabaseWrapper) -> Transaction | None:
    return _open.get(connection)


def transaction_connection() -> BaseDatabaseWrapper:
    """Return the write database's connection. Raises `NoTransaction` outside a transaction."""
    connection = connections[write_alias()]
    if not connection.in_atomic_block:
        raise NoTransaction("Use the event store from a command handler: mediator.send(...).")
    return connection


def fetch(connection: BaseDatabaseWrapper, statement: Statement, values: list[Any]) -> list[Any]:
    """Execute a statement and return its rows."""
    calls = [(statement, values)]
    with connection.cursor() as cursor:
        if (found := _open.get(connection)) is not None:
            found.run(cursor, calls)
        else:
            dialect_of(connection).run(connection, cursor, calls)
        rows: list[Any] = cursor.fetchall()
    return rows


def execute(connection: BaseDatabaseWrapper, calls: list[Call]) -> None:
    """Execute the statements in order, by the end of the transaction at the latest."""
    if (found := _open.get(connection)) is not None:
        found.wait(calls)
    else:
        with connection.cursor() as cursor:
            dialect_of(connection).run(connection, cursor, calls)
