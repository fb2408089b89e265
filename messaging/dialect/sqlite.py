"""SQLite: one writer, one statement at a time, no round trip."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Error
from typing import Any

from messaging.dialect.base import Call, Connection, Dialect, Guards, marks

NOW = "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'now'{})"


class SQLite(Dialect):
    words = {
        "lock": "",
        "share": "",
        "skip": "",
        "greatest": "MAX",
        "least": "MIN",
        "in_an_hour": NOW.format(", '+1 hour'"),
        "now": NOW.format(""),
        "seconds": "((JULIANDAY('now') - 2440587.5) * 86400.0)",
        "in_seconds": NOW.format(", %s || ' seconds'"),
    }
    is_server = False
    can_write_in_ctes = False
    uuid_mark = "%s"
    triggers_of = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s"

    def run(
        self,
        connection: Connection,
        cursor: Any,
        calls: Sequence[Call],
        *,
        begin: bool = False,
        commit: bool = False,
    ) -> None:
        for statement, values in calls:
            cursor.execute(self.text(statement), values)

    def insert(self, cursor: Any, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        cursor.executemany(sql.format(marks(len(rows[0]))), rows)

    def copy(
        self,
        connection: Connection,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
    ) -> None:
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {marks(len(columns))}"
        with connection.cursor() as cursor:
            cursor.executemany(sql, list(rows))

    def next_ids(self, connection: Connection, table: str, column: str, count: int) -> list[int]:
        """Nobody else writes while the transaction is open, and what is inserted moves it on."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
            last = (cursor.fetchone() or [0])[0]
        return list(range(last + 1, last + 1 + count))

    @contextmanager
    def snapshot(self, connection: Connection, sql: str, values: Sequence[Any]) -> Iterator[Any]:
        # No atomic() here: it is BEGIN IMMEDIATE and would keep writers out.
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            yield cursor

    def read_at_one_moment(self, connection: Connection) -> None:
        """Every transaction does."""

    def read_what_is_committed(self, connection: Connection) -> None:
        """Every transaction of ours does: it locks before it reads."""

    def hold(self, connection: Connection, name: str, *, alone: bool) -> bool:
        """Whoever writes is alone."""
        return True

    def not_in(self, column: str, values: Collection[Any]) -> tuple[str, list[Any]]:
        return f"{column} NOT IN {marks(len(values))}", list(values)

    def change_mark(self, connection: Connection) -> int | None:
        if connection.connection is None:
            return None
        try:  # by the client itself: Django's cursor costs five times as much
            (mark,) = connection.connection.execute("PRAGMA data_version").fetchone()
        except Error:
            return None  # the look that follows says what is wrong
        return int(mark)

    def among(self, column: str, select: str) -> str:
        return f"{column} IN ({select})"

    def uuid_text(self, column: str) -> str:
        """It is stored as 32 digits."""
        cuts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        return " || '-' || ".join(f"substr({column}, {at}, {length})" for at, length in cuts)

    def octets(self, column: str) -> str:
        return f"LENGTH(CAST({column} AS BLOB))"

    def guards(self, table: str, message: str) -> Guards:
        return Guards(
            [],
            {
                name: f"CREATE TRIGGER {name} BEFORE {action} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
                for action in ("UPDATE", "DELETE")
                for name in [f"events_refuse_{action.lower()}"]
            },
        )

    def drop_trigger(self, name: str, table: str) -> str:
        return f"DROP TRIGGER IF EXISTS {name}"

    def allow_idle_transactions(self, connection: Connection) -> None:
        """Nobody ends one."""

    def exists(self, connection: Connection) -> bool:
        return Path(connection.settings_dict["NAME"]).exists()
