"""Which of several processes does the work that one alone may do: the one with the lock.

On PostgreSQL an advisory lock on a connection of its own. The server ends that session
when it has heard nothing for 10 s: without it, a frozen holder keeps the lock for ever.
On SQLite a lock on a file beside the database.
"""

import fcntl
import time
from abc import ABC, abstractmethod
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import psycopg2
from django.db import connections

BEAT_EVERY_S = 2.0
TRUSTED_FOR_S = 5.0  # after its last beat; well below the server's timeout
SESSION_TIMEOUT_S = 10


class Leadership(ABC):
    @abstractmethod
    def held(self) -> bool:
        """Take the lock, or make sure that it is still held. Never waits for it."""

    @abstractmethod
    def release(self) -> None: ...


def leadership(work: str, database: str) -> Leadership:
    """Of this piece of work, such as "relay", on one of the databases."""
    connection = connections[database]
    if connection.vendor == "postgresql":
        return PostgresLeadership(work, connection.get_connection_params())
    return FileLeadership(Path(f"{connection.settings_dict['NAME']}.{work}-lock"))


class PostgresLeadership(Leadership):
    def __init__(self, work: str, params: dict[str, Any]) -> None:
        # Locks belong to one database: two Postlogs on one server do not meet.
        self._key = int.from_bytes(sha256(f"postlog {work}".encode()).digest()[:8], signed=True)
        self._params = {
            **{k: v for k, v in params.items() if k != "cursor_factory"},
            "application_name": f"postlog {work} lock",
            "options": f"-c idle_session_timeout={SESSION_TIMEOUT_S}s",
            "connect_timeout": 5,
            "keepalives": 1,
            "keepalives_idle": 2,
            "keepalives_interval": 2,
            "keepalives_count": 2,
        }
        self._connection: Any = None
        self._last_beat = 0.0

    def held(self) -> bool:
        age = time.monotonic() - self._last_beat
        if self._connection is not None and age < BEAT_EVERY_S:
            return True
        try:
            if self._connection is not None and age < TRUSTED_FOR_S:
                self._execute("SELECT 1")
                return True
            # Too old to be trusted: somebody else may have been at work. Begin again.
            self.release()
            return self._take()
        except psycopg2.Error:
            self.release()
            return False

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _take(self) -> bool:
        connection = psycopg2.connect(**self._params)
        connection.autocommit = True
        self._connection = connection
        if self._execute("SELECT pg_try_advisory_lock(%s)", [self._key]):
            return True
        self.release()
        return False

    def _execute(self, sql: str, params: list[Any] | None = None) -> Any:
        begun = time.monotonic()
        with self._connection.cursor() as cursor:
            cursor.execute(sql, params)
            answer = cursor.fetchone()[0]
        self._last_beat = begun
        return answer


class FileLeadership(Leadership):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def held(self) -> bool:
        if self._file is not None:
            return True
        file = self._path.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
