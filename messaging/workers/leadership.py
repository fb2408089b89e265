"""Which of several processes does the work that one alone may do: the one with the lock.

On PostgreSQL an advisory lock on a connection of its own. The server ends that session
when it has heard nothing for 10 s: without it, a frozen holder keeps the lock for ever.
On SQLite a lock on a file beside the database.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Event as Flag
from threading import RLock, Thread
from typing import IO, Any, ClassVar

from django.db import connections

from messaging import conf
from messaging.dialect import dialect_of, sessions
from messaging.exceptions import Pooled, PostlogError, Unreachable

BEAT_EVERY_S = 2.0
TRUSTED_FOR_S = 5.0  # after its last beat; well below the server's timeout
SESSION_TIMEOUT_S = 10
TELL_EVERY_S = 60.0
ENDED_WITHIN_S = 1.0  # PostgreSQL's time to see that a session has ended

IDENTITY = "SELECT system_identifier || '/' || current_database() FROM pg_control_system()"

log = logging.getLogger("postlog.leadership")


class Leadership(ABC):
    name: str  # which lock, and where: for messages

    @abstractmethod
    def acquire(self) -> bool:
        """Take the lock, or make sure that it is still held; False: another process has it.

        Never waits for it. Raises `Unreachable` when the database cannot be asked, `Pooled`
        when a pooler would hand the lock to others.
        """

    @abstractmethod
    def release(self) -> None: ...

    def pause(self, seconds: float, stop: Flag) -> bool:
        """Wait for so long, or until whoever holds the lock is woken; whether `stop` is set."""
        return stop.wait(seconds)


class Wait:
    """Says which lock a process waits for, and for how long: at once, then every minute."""

    def __init__(self, log: logging.Logger, who: str) -> None:
        self._log, self._who = log, who
        self._since = self._told = 0.0

    def goes_on(self, lock: Leadership) -> None:
        now = time.monotonic()
        if not self._since:
            self._since = self._told = now
            self._log.info("%s: another process has %s", self._who, lock.name)
        elif now - self._told >= TELL_EVERY_S:
            self._told = now
            waited = now - self._since
            self._log.info("%s for %.0f s: another process has %s", self._who, waited, lock.name)

    def ends(self) -> None:
        self._since = 0.0


def acquired(lock: Leadership) -> bool:
    """Take the lock, or make sure that another process has it and keeps it.

    PostgreSQL frees a lock when it sees the end of its holder's session, some moments after
    the holder itself has ended. A command that runs right behind another waits for that.
    """
    end = time.monotonic() + ENDED_WITHIN_S
    while not lock.acquire():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def kept(acquire: Callable[[], bool]) -> Iterator[None]:
    """Keep a lock while this thread waits for one statement that may run for longer than the
    lock's session lives unheard. A second thread asks meanwhile; this one must not.

    A process that is frozen loses the lock as ever. One whose lock's connection was cut takes
    it again, as any holder does, unless another process was faster: whoever acquires it next,
    behind the statement, learns it.
    """
    ended = Flag()

    def ask() -> None:
        while not ended.wait(BEAT_EVERY_S):
            try:
                acquire()
            except PostlogError as error:
                log.debug("asking for a lock: %s", error)  # whoever asks next reports it

    thread = Thread(target=ask, name="lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        # A question that hangs for longer gets an answer that is too old to be trusted.
        thread.join(TRUSTED_FOR_S)


def leadership(work: str, database: str) -> Leadership:
    """Of this piece of work, such as "relay", on one of the databases."""
    connection = connections[database]
    if dialect_of(connection).is_server:
        return PostgresLeadership(work, database)
    if connection.is_in_memory_db():  # type: ignore[attr-defined]  # SQLite's
        return MemoryLeadership(f"{work} of {database}")
    return FileLeadership(Path(f"{connection.settings_dict['NAME']}.{work}-lock"))


class PostgresLeadership(Leadership):
    def __init__(self, work: str, database: str) -> None:
        self._work, self._database = work, database
        elsewhere = conf.postlog().lock_database
        settings = elsewhere or connections[database].settings_dict
        self._is_elsewhere = elsewhere is not None
        self._params = {
            **sessions.parameters(settings),
            "application_name": f"postlog {work} lock",
            "keepalives": 1,
            "keepalives_idle": 2,
            "keepalives_interval": 2,
            "keepalives_count": 2,
        }
        self.name = f'the lock "{work}" in database {self._params.get("dbname", "")!r}'
        self._key: int | None = None
        self._connection: Any = None
        self._listens = False
        self._last_beat = 0.0
        self._asking = RLock()  # a question of `kept` can outlast the statement

    def acquire(self) -> bool:
        with self._asking:
            return self._acquire()

    def _acquire(self) -> bool:
        age = time.monotonic() - self._last_beat
        if self._connection is not None and age < BEAT_EVERY_S:
            return True
        if self._connection is not None and age < TRUSTED_FOR_S:
            return self._beat()
        # Too old to be trusted: somebody else may have been at work. Begin again.
        self.release()
        return self._take()

    def release(self) -> None:
        with self._asking:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def pause(self, seconds: float, stop: Flag) -> bool:
        with self._asking:
            if self._connection is None:
                return stop.wait(seconds)
            try:
                with sessions.reaching(self._params):
                    if not self._listens:
                        sessions.listen(self._connection)
                        self._listens = True
                    sessions.wait_for_notice(self._connection, seconds)
            except Unreachable:
                return stop.wait(seconds)  # whoever acquires the lock next reports it
        return stop.is_set()

    def _beat(self) -> bool:
        """False: the session has ended, and the lock with it."""
        begun = time.monotonic()
        try:
            with sessions.reaching(self._params):
                sessions.answer(self._connection, "SELECT 1")
        except Unreachable as error:
            log.warning("%s is lost: %s", self.name, error)
            self.release()
            return False
        self._last_beat = begun
        return True

    def _take(self) -> bool:
        begun = time.monotonic()
        try:
            connection = sessions.connect(self._params)
            self._connection, self._listens = connection, False
            with sessions.reaching(self._params):
                taken = self._ask(connection)
        except Unreachable as error:
            self.release()
            raise Unreachable(f"nobody can be asked for {self.name}: {error}") from error
        except Exception:
            self.release()
            raise
        if not taken:
            self.release()
        self._last_beat = begun
        return taken

    def _ask(self, connection: Any) -> bool:
        if not sessions.lasts(connection, self._params):
            raise Pooled(
                f"{self.name} cannot be held: a pooler hands the session on after each "
                f"transaction. {sessions.WHAT_TO_SET}"
            )
        if self._key is None:
            self._key = self._key_of(connection)
        # Not as a startup option: poolers refuse those.
        timeout = "SELECT set_config('idle_session_timeout', %s, false)"
        sessions.answer(connection, timeout, [f"{SESSION_TIMEOUT_S}s"])
        return bool(sessions.answer(connection, "SELECT pg_try_advisory_lock(%s)", [self._key]))

    def _key_of(self, connection: Any) -> int:
        """Locks belong to one database, so two Postlogs on one server do not meet. Nor do they
        where POSTLOG["LOCK_DATABASE"] brings several into one: then the key names the database
        as well."""
        name = f"postlog {self._work}"
        if self._is_elsewhere:
            identity = sessions.answer(connections[self._database], IDENTITY)
            if identity != sessions.answer(connection, IDENTITY):
                name = f"{name} of {identity}"
        return int.from_bytes(sha256(name.encode()).digest()[:8], signed=True)


class MemoryLeadership(Leadership):
    """Of a database in memory, as tests have one: no other process sees it."""

    _holders: ClassVar[dict[str, Leadership]] = {}

    def __init__(self, name: str) -> None:
        self.name = name

    def acquire(self) -> bool:
        return self._holders.setdefault(self.name, self) is self

    def release(self) -> None:
        if self._holders.get(self.name) is self:
            del self._holders[self.name]


class FileLeadership(Leadership):
    def __init__(self, path: Path) -> None:
        self.name = f"the lock on {path}"
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        if self._file is not None:
            return True
        import fcntl  # which Windows lacks: there PostgreSQL is needed

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
