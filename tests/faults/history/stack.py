"""The system under fire: servers of its own behind proxies, and Postlog's processes."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event as Flag
from threading import RLock
from typing import Any

import psycopg2

from dev.cache import ServiceError
from dev.kafka_server import KafkaServer
from dev.postgres_server import PostgresServer
from dev.server import free_port, temporary_folder
from messaging.testing.waiting import wait_until
from tests.faults.history.disk import Disk, small_disk
from tests.faults.history.facts import Ended
from tests.faults.history.pooler import Pooler, find_pgbouncer
from tests.faults.history.recorder import Recorder
from tests.faults.history.sources import PROJECTIONS, Database
from tests.faults.history.writers import Board
from tests.support.modes import KAFKA_CLIENT
from tests.support.processes import ROOT, Worker
from tests.support.proxy import Proxy

NAMES = {"WRITE_DATABASE_URL": "write", "READ_DATABASE_URL": "read"}
STAFF = "operator"
WEB_THREADS = "4"  # fewer than there are writers: one hot post could take them all
RESTART_S = 1.0  # a supervisor waits as long before it starts again what ended
START_S = 180


class Part:
    """One of Postlog's processes, which a supervisor keeps running."""

    def __init__(self, name: str, role: str, program: list[str], port: int = 0) -> None:
        self.name = name
        self.role = role  # web, relay or consumer
        self.program = program
        self.port = port
        self.env: dict[str, str] = {}
        self.cwd = ROOT
        self.wanted = False
        self.worker: Worker | None = None
        self.again_at = 0.0
        self.last_words = ""  # of the process before this one, if it ended by itself
        self.lock = RLock()  # between who acts and who supervises

    def start(self) -> None:
        with self.lock:
            self.wanted = True
            if self.worker is None:
                self.worker = Worker(self.env, program=self.program, folder=self.cwd)

    def kill(self) -> None:
        """SIGKILL, for it and for what it started."""
        with self.lock:
            self._kill()

    def ended(self) -> Ended | None:
        """By itself. It is then started again after a moment."""
        with self.lock:
            if not self.wanted:
                return None
            if self.worker is None:
                if time.monotonic() >= self.again_at:
                    self.start()
                return None
            code = self.worker.process.poll()
            if code is None:
                return None
            found = Ended(self.name, code, self.worker.output()[-3_000:])
            self.last_words = found.output
            self._kill()
            self.wanted, self.again_at = True, time.monotonic() + RESTART_S
            return found

    def _kill(self) -> None:
        self.wanted = False
        if self.worker is not None:
            children = descendants(self.worker.process.pid)
            self.worker.kill()
            signal_all(children, signal.SIGKILL)
            self.worker = None

    def stop(self) -> int | None:
        """SIGTERM, and SIGKILL when that takes too long; the exit code."""
        self.wanted = False
        if self.worker is None:
            return None
        try:
            return self.worker.stop(30)
        except subprocess.TimeoutExpired:
            return None
        finally:
            self.kill()

    def pids(self) -> list[int]:
        if self.worker is None:
            return []
        return [self.worker.process.pid, *descendants(self.worker.process.pid)]


class Stack:
    """Started by `running`; its acts are in acts.py."""

    kind = ""
    disk: Disk | None = None

    def __init__(self, folder: Path, recorder: Recorder, board: Board) -> None:
        self.folder = folder
        self.recorder = recorder
        self.board = board
        self.parts: dict[str, Part] = {}
        self.tokens: dict[str, str] = {}
        self.sessions: dict[str, str] = {}
        self.pauses: list[Flag] = []  # one of each writer
        self.rests: list[Flag] = []
        self.kafka_servers = ""
        self.topic = "posts.events"
        self.tree = ROOT  # the code that is deployed
        self.trees: list[Path] = []
        self.control_records = 0  # at most so many offsets of a partition hold no record
        self.may_end: set[str] = set()  # roles whose processes may end by themselves during an act
        self.missed: list[str] = []  # moments that acts aimed at and that did not come

    # --- to be said by each kind

    def start_servers(self) -> None:
        raise NotImplementedError

    def stop_servers(self) -> None:
        raise NotImplementedError

    def env_of(self, role: str) -> dict[str, str]:
        raise NotImplementedError

    def urls(self) -> tuple[str, str]:
        """Of the write and the read database, past every proxy."""
        raise NotImplementedError

    # --- what they share

    def start(self, people: list[str]) -> None:
        self.start_servers()
        self.run("-m", "django", "migrate", "--verbosity=0")
        printed = self.run("-m", "tests.faults.history.accounts", STAFF, *people)
        found = json.loads(printed.splitlines()[-1])
        self.tokens, self.sessions = found["tokens"], found["sessions"]
        for number in (1, 2):
            self._add("web", number)
            self._add("relay", number)
            self._add("consumer", number)
        for part in self.parts.values():
            part.start()
        wait_until(self.answers, "both web servers answer", START_S)

    def _add(self, role: str, number: int) -> None:
        port, program = 0, [sys.executable, *commands()[role][1:]]
        if role == "web":
            port = free_port()
            program = [one.replace("$PORT", str(port)) for one in commands()["web"]]
            program = [sys.executable, "-m", *program]
        part = Part(f"{role} {number}", role, program, port)
        part.env = {**self.env_of(role), "PGAPPNAME": part.name}  # so PostgreSQL tells who is who
        self.parts[part.name] = part

    def stop(self) -> None:
        for part in self.parts.values():
            with suppress(OSError):
                signal_all(part.pids(), signal.SIGCONT)
            part.kill()
        self.stop_servers()
        for tree in self.trees:
            shutil.rmtree(tree, ignore_errors=True)

    def ports(self) -> list[int]:
        return [part.port for part in self.of("web")]

    def of(self, role: str) -> list[Part]:
        return [part for part in self.parts.values() if part.role == role]

    def answers(self) -> bool:
        """Whether every web server does."""
        from tests.faults.history.client import Away, Client

        for port in self.ports():
            client = Client("health", [port])
            try:
                if client.request("GET", "/health/live", None, {}).status != 200:
                    return False
            except Away:
                return False
            finally:
                client.close()
        return True

    def supervise(self) -> None:
        """Start again what ended by itself, and record that it did."""
        for part in self.parts.values():
            ended = part.ended()
            if ended is not None and part.role not in self.may_end:
                self.recorder.write(ended)

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run Python in the system's environment; what it printed."""
        env = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", **self.env_of("web")}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.tree,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if check and done.returncode:
            raise ServiceError(f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout if check else done.stdout + done.stderr

    @property
    def write(self) -> Database:
        return Database(self.urls()[0])

    @property
    def read(self) -> Database:
        return Database(self.urls()[1])

    def is_level(self) -> bool:
        """Nothing waits in the outbox, and each checkpoint is at the end of its partition."""
        if self.write.rows("SELECT count(*) FROM messaging_outbox")[0][0]:
            return False
        live = dict(self.read.rows("SELECT name, live_generation FROM messaging_projectionstate"))
        rows = self.read.rows(
            'SELECT projection, generation, "partition", "offset" FROM messaging_checkpoint'
        )
        at = {(name, p): offset for name, g, p, offset in rows if live.get(name) == g}
        ends = self.ends()
        least = {p: end - self.control_records for p, end in ends.items()}
        return all(at.get((name, p), 0) >= end for name in PROJECTIONS for p, end in least.items())

    def ends(self) -> dict[int, int]:
        """The end of each partition of the log."""
        raise NotImplementedError

    def rebuilds_under_way(self) -> int:
        ended = "('done', 'cancelled', 'failed')"
        rows = self.read.rows(f"SELECT count(*) FROM messaging_rebuild WHERE state NOT IN {ended}")
        return int(rows[0][0])

    @contextmanager
    def aiming(self) -> Iterator[None]:
        """Around what waits for its moment: under other acts that may not come, and the rest is
        left out."""
        try:
            yield
        except AssertionError as error:
            self.missed.append(str(error))
            self.recorder.note(f"missed: {error}")

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """The writers pause, and all is consumed."""
        try:
            for pause in self.pauses:
                pause.set()
            wait_until(lambda: all(rest.is_set() for rest in self.rests), "writers rest", 60)
            wait_until(self.is_level, "all is consumed", 60)
            yield
        finally:
            for pause in self.pauses:
                pause.clear()


class SqliteStack(Stack):
    """Two SQLite files and the embedded log."""

    kind = "sqlite"

    def start_servers(self) -> None:
        self.data = self.folder / "data"
        self.disk = small_disk(self.data, 400)

    def stop_servers(self) -> None:
        if self.disk:
            self.disk.unmount()

    def env_of(self, role: str) -> dict[str, str]:
        write, read = self.urls()
        return {**base_env(), "WRITE_DATABASE_URL": write, "READ_DATABASE_URL": read}

    def urls(self) -> tuple[str, str]:
        return f"sqlite:///{self.data}/write.sqlite3", f"sqlite:///{self.data}/read.sqlite3"

    def ends(self) -> dict[int, int]:
        return dict(self.write.rows('SELECT "partition", next_offset FROM messaging_logpartition'))


class PostgresStack(Stack):
    """A PostgreSQL and a Kafka of its own; each role reaches them through proxies."""

    kind = "postgresql"

    def start_servers(self) -> None:
        folder = temporary_folder("history-postgresql")
        self.disk = small_disk(folder, 700)
        self.postgres = PostgresServer(folder, fsync=True)
        self.kafka = KafkaServer(temporary_folder("history-kafka"))
        self.kafka.start_s = self.postgres.start_s = 180  # beside all that they run with
        self.proxies: dict[str, Proxy] = {}
        self._pooler: Pooler | None = None
        self.postgres.start()
        self.execute("CREATE ROLE app LOGIN")
        for name in NAMES.values():
            self.execute(f"CREATE DATABASE {name} OWNER app")
        for role in ("web", "relay", "consumer"):
            self.proxies[f"postgresql of {role}"] = Proxy("127.0.0.1", self.postgres.port)
        # The broker sends its clients to the proxy, so the proxy's port has to be known first.
        self.proxies["kafka"] = Proxy("127.0.0.1", self.kafka.port)
        self.kafka.advertised_port = self.proxies["kafka"].port
        self.kafka.start()
        self.kafka_servers = f"127.0.0.1:{self.proxies['kafka'].port}"

    def pooler(self) -> Pooler | None:
        """Started when it is first asked for; None where there is none."""
        program = find_pgbouncer()
        if program is not None and self._pooler is None:
            folder = temporary_folder("history-pgbouncer")
            self._pooler = Pooler(program, folder, self.proxies["postgresql of web"])
        return self._pooler

    def stop_servers(self) -> None:
        if self._pooler is not None:
            self._pooler.stop()
        for proxy in self.proxies.values():
            proxy.close()
        for server in (self.kafka, self.postgres):
            if server.process is not None:
                signal_all([server.process.pid, *descendants(server.process.pid)], signal.SIGCONT)
            server.wipe()
        if self.disk:
            self.disk.unmount()
        shutil.rmtree(self.postgres.folder, ignore_errors=True)

    def env_of(self, role: str) -> dict[str, str]:
        port = self.proxies[f"postgresql of {role}"].port
        return {
            **base_env(),
            **{name: f"postgresql://app@127.0.0.1:{port}/{db}" for name, db in NAMES.items()},
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.proxies['kafka'].port}",
            "KAFKA_CLIENT": KAFKA_CLIENT,
        }

    def urls(self) -> tuple[str, str]:
        write, read = (self.postgres.url(name) for name in NAMES.values())
        return write, read

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """As the server's owner, past the proxies."""
        connection = psycopg2.connect(self.postgres.url(database), connect_timeout=10)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def ends(self) -> dict[int, int]:
        from kafka import KafkaConsumer, TopicPartition

        consumer = KafkaConsumer(bootstrap_servers=self.kafka_servers)
        try:
            partitions = consumer.partitions_for_topic(self.topic) or ()
            ends = consumer.end_offsets([TopicPartition(self.topic, p) for p in partitions])
            return {at.partition: end for at, end in ends.items()}
        finally:
            consumer.close()


def base_env() -> dict[str, str]:
    return {
        "DEBUG": "on",
        "API_RATE": "0",
        "KAFKA_BOOTSTRAP_SERVERS": "",
        "ENV_FILE": "",
        "WEB_THREADS": WEB_THREADS,
    }


def commands() -> dict[str, list[str]]:
    """The processes of the Procfile, by name: what is shipped is what is attacked."""
    found = {}
    for line in (ROOT / "Procfile").read_text().splitlines():
        name, _, command = line.partition(": ")
        found[name] = shlex.split(re.sub(r"\$\{[A-Z_]+:-(.*?)\}", r"\1", command))
    return found


def descendants(pid: int) -> list[int]:
    """The processes that it started, and that those did."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            child, _, rest = stat.read_text().partition(" (")
            parent = int(rest.rpartition(") ")[2].split()[1])
            children.setdefault(parent, []).append(int(child))
    found, todo = [], [pid]
    while todo:
        todo += (new := children.get(todo.pop(), []))
        found += new
    return found


def signal_all(pids: list[int], signum: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)


End = Callable[[], None]
