"""PostgreSQL: sessions, round trips, kept plans."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec
from django.db import DatabaseError, Error, models

from messaging.dialect.base import Call, Connection, Dialect, Guards, Statement, marks
from messaging.dialect.psycopg import copy_text, go_to_last_result, sqlstate
from messaging.dialect.sessions import CHANNEL, WHAT_TO_SET, answer
from messaging.exceptions import ConcurrencyError, Pooled

ROWS_AT_ONCE = 1_000  # in an INSERT
# Between two fetches, in which the reader writes rows elsewhere. It holds no lock.
MAX_PAUSE_S = 600
IDLE = 0  # libpq's PQTRANS_IDLE: in no transaction
IN_ERROR = 3  # PQTRANS_INERROR: in one that has failed
PLAN_IS_OLD = {"0A000"}  # a migration has changed a column that the plan returns
PLAN_IS_ANOTHERS = {"26000", "42P05"}  # the plan is not in this session, or was there before

# What a column of its type reads from JSON as it would from a literal of SQL.
IN_JSON = frozenset({int, str, bool, datetime, UUID, type(None)})
_json = msgspec.json.Encoder()

# For each connection of the database driver: the statements that it has planned.
_planned: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


class PostgreSQL(Dialect):
    words = {
        "lock": "FOR UPDATE",
        "share": "FOR SHARE",
        "skip": "FOR UPDATE SKIP LOCKED",
        "greatest": "GREATEST",
        "least": "LEAST",
        "in_an_hour": "STATEMENT_TIMESTAMP() + INTERVAL '1 hour'",
        "now": "STATEMENT_TIMESTAMP()",
        "seconds": "EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP())",
        "in_seconds": (
            "STATEMENT_TIMESTAMP() + CAST(%s AS double precision) * INTERVAL '1 second'"
        ),
    }
    native_fields = (*Dialect.native_fields, models.UUIDField, models.DateTimeField)
    is_server = True
    can_write_in_ctes = True
    wake = Statement("postlog_wake", f"SELECT pg_notify('{CHANNEL}', '')")
    uuid_mark = "%s::uuid"
    ids_mark = "%s::uuid[]"
    triggers_of = (
        "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgenabled = 'O'"
    )

    def __init__(self) -> None:
        super().__init__()
        self._executes: dict[str, str] = {}  # the name of a statement -> what runs its plan

    def run(
        self,
        connection: Connection,
        cursor: Any,
        calls: Sequence[Call],
        *,
        begin: bool = False,
        commit: bool = False,
    ) -> None:
        """psycopg 2 and 3 put the values into the text themselves, as Django has it."""
        try:
            texts = [self._planned(connection, statement) for statement, _ in calls]
            texts = [*["BEGIN"] * begin, *texts, *["COMMIT"] * commit]
            cursor.execute(";".join(texts), [value for _, values in calls for value in values])
            if len(texts) > 1:
                go_to_last_result(cursor)
        except DatabaseError as error:
            if sqlstate(error) in PLAN_IS_OLD:
                # The plans end with their connection; the command runs again.
                connection.close()
                raise ConcurrencyError from error
            if sqlstate(error) in PLAN_IS_ANOTHERS:
                raise Pooled(
                    "A pooler hands sessions on, with the plans kept in them: "
                    f"{str(error).strip()}. {WHAT_TO_SET}"
                ) from error
            raise

    def begins(self, connection: Connection) -> bool:
        """The driver would send its own before the next statement, in a round trip of its own. In
        autocommit it leaves that to us; it has sent one if another statement came first. An
        isolation level of the settings goes with its own."""
        driver = connection.connection
        if driver.info.transaction_status != IDLE or driver.isolation_level is not None:
            return False
        driver.autocommit = True  # until Django ends its `atomic`
        return True

    def is_broken(self, connection: Connection) -> bool:
        return bool(connection.connection.info.transaction_status == IN_ERROR)

    def roll_back(self, connection: Connection) -> None:
        if connection.closed_in_transaction:
            return
        driver = connection.connection
        try:
            if driver.info.transaction_status != IDLE:
                with connection.wrap_database_errors, driver.cursor() as cursor:
                    cursor.execute("ROLLBACK")
        except BaseException as error:
            connection.close()  # else whoever has it next would be in this transaction
            if not isinstance(error, Error):
                raise

    def _planned(self, connection: Connection, statement: Statement) -> str:
        """Return the text that runs a statement by its kept plan; prepare the plan at first use.

        Planning would be half of the cost. Plans cannot be kept where a pooler hands the connection
        on after each transaction, which Django's own setting for poolers tells.
        """
        sql = self.text(statement)
        if connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
            return sql
        planned = _planned.setdefault(connection.connection, set())
        if statement.name not in planned:
            numbers = count(1)
            numbered = re.sub("%s", lambda _: f"${next(numbers)}", sql)
            with connection.cursor() as cursor:
                cursor.execute(f"PREPARE {statement.name} AS {numbered}")
            planned.add(statement.name)
        if (found := self._executes.get(statement.name)) is None:
            values = sql.count("%s")
            text = f"EXECUTE {statement.name}{marks(values) if values else ''}"
            found = self._executes[statement.name] = text
        return found

    def insert(self, cursor: Any, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        mark = marks(len(rows[0]))
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            cursor.execute(
                sql.format(", ".join([mark] * len(some))), [value for row in some for value in row]
            )

    def upsert(
        self,
        cursor: Any,
        table: str,
        columns: Sequence[str],
        on_conflict: str,
        rows: Sequence[Sequence[Any]],
    ) -> None:
        """As one JSON document: for each value by itself the client takes five times as long."""
        names = [name.strip('"') for name in columns]
        chosen = ", ".join(columns)
        sql = (
            f"INSERT INTO {table} ({chosen}) SELECT {chosen} "
            f"FROM json_populate_recordset(NULL::{table}, %s::json) {on_conflict}"
        )
        others = []
        for start in range(0, len(rows), ROWS_AT_ONCE):
            plain = []
            for row in rows[start : start + ROWS_AT_ONCE]:
                if IN_JSON.issuperset(map(type, row)):
                    plain.append(dict(zip(names, row, strict=True)))
                else:
                    others.append([_digits(value) for value in row])
            if plain:
                cursor.execute(sql, [_json.encode(plain).decode()])
        super().upsert(cursor, table, columns, on_conflict, others)

    def copy(
        self,
        connection: Connection,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
    ) -> None:
        # A function of Python for each value would take a third of the time of an import.
        lines = ["\t".join([_PLAIN.get(type(one), _copied)(one) for one in row]) for row in rows]
        text = "".join([f"{line}\n" for line in lines])
        copy_text(connection, f"COPY {table} ({', '.join(columns)}) FROM STDIN", text)

    def next_ids(self, connection: Connection, table: str, column: str, count: int) -> list[int]:
        sql = "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)"
        with connection.cursor() as cursor:
            cursor.execute(sql, [table, column, count])
            return sorted(number for (number,) in cursor.fetchall())

    @contextmanager
    def snapshot(self, connection: Connection, sql: str, values: Sequence[Any]) -> Iterator[Any]:
        """A transaction stays open until the end."""
        connection.set_autocommit(False)
        with connection.chunked_cursor() as cursor:
            # Plan for all rows, not for the first few.
            with connection.cursor() as settings:
                settings.execute(
                    "SET LOCAL cursor_tuple_fraction = 1;"
                    f"SET LOCAL idle_in_transaction_session_timeout = '{MAX_PAUSE_S}s'"
                )
            cursor.execute(sql, values)
            yield cursor

    def read_at_one_moment(self, connection: Connection) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

    def read_what_is_committed(self, connection: Connection) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")

    def hold(self, connection: Connection, name: str, *, alone: bool) -> bool:
        """An advisory lock: of a row, shared holders that come and go would starve the one who
        wants it alone, and each would write to it."""
        lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
        level = "current_setting('transaction_isolation')"
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {lock}(hashtextextended(%s, 0)), {level}", [name])
            return bool(cursor.fetchone()[1] == "read committed")

    def not_in(self, column: str, values: Collection[Any]) -> tuple[str, list[Any]]:
        """By a sub-select, because that is hashed; ALL(array) would be compared one by one."""
        return f"{column} NOT IN (SELECT unnest(%s))", [list(values)]

    def among(self, column: str, select: str) -> str:
        """As a look-up for each. A join is planned by the statistics of a table that is empty most
        of the time, and then reads all of the other."""
        return f"{column} = ANY(ARRAY({select}))"

    def uuid_text(self, column: str) -> str:
        return f"{column}::text"

    def octets(self, column: str) -> str:
        return f"octet_length({column})"  # which measures without reading

    def guards(self, table: str, message: str) -> Guards:
        function = "messaging_refuse()"
        return Guards(
            [
                f"CREATE OR REPLACE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$"
            ],
            {
                name: f"CREATE TRIGGER {name} BEFORE {action} ON {table} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {function}"
                for action in ("UPDATE", "DELETE", "TRUNCATE")
                for name in [f"events_refuse_{action.lower()}"]
            },
        )

    def drop_trigger(self, name: str, table: str) -> str:
        return f"DROP TRIGGER IF EXISTS {name} ON {table}"

    def is_read_only(self, connection: Connection) -> bool:
        return bool(answer(connection, "SHOW transaction_read_only") == "on")

    def is_replica(self, connection: Connection) -> bool:
        return bool(answer(connection, "SELECT pg_is_in_recovery()"))

    def oldest_snapshot_s(self, connection: Connection) -> float | None:
        age = answer(
            connection,
            "SELECT COALESCE(EXTRACT(EPOCH FROM max(now() - xact_start)), 0) FROM pg_stat_activity "
            "WHERE backend_xmin IS NOT NULL AND datname = current_database()",
        )
        return round(float(age), 3)

    def allow_idle_transactions(self, connection: Connection) -> None:
        """Not behind a pooler: the session is another's next."""
        if not connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
            with connection.cursor() as cursor:
                cursor.execute("SET idle_in_transaction_session_timeout = 0")


def _digits(value: Any) -> Any:
    """Of an id: writing ids as typed literals would take a third of the statement."""
    return f"{value.int:032x}" if isinstance(value, UUID) else value


_PLAIN: dict[type, Callable[[Any], str]] = {
    int: str,
    datetime: str,
    UUID: lambda one: f"{one.int:032x}",  # a third of the cost of the canonical form
}


def _copied(value: Any) -> str:
    """A value in PostgreSQL's text format for COPY."""
    if value is None:
        return "\\N"
    if isinstance(value, str):
        doubled = value.replace("\\", "\\\\")
        return doubled.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return str(value)  # numbers, true and false, UUIDs, times with their zone
