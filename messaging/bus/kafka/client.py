"""The bus on Apache Kafka by kafka-python."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetSpec, TopicPartition
from kafka.admin import ConfigResource, NewTopic
from kafka.errors import TopicAlreadyExistsError
from kafka.net.compat import KafkaNetClient
from kafka.net.sasl.oauth import AbstractTokenProvider

from messaging.bus.base import LogRecord, Publisher, Reader, Subscription
from messaging.bus.hazards import CONFIGURATION
from messaging.bus.kafka.bus import PUBLISH_TIMEOUT_S, Cluster, Described, KafkaBus, log
from messaging.bus.kafka.errors import bus_errors
from messaging.bus.kafka.oauth import PROVIDER, Tokens, tokens
from messaging.bus.kafka.publisher import KafkaPublisher
from messaging.bus.kafka.subscription import RETRY_MS, KafkaReader, KafkaSubscription
from messaging.bus.kafka.times import written_since
from messaging.conf import KafkaSettings
from messaging.exceptions import BusError

T = TypeVar("T")

CONNECT_TIMEOUT_MS = 5_000
CLIENTS = (KafkaAdminClient, KafkaConsumer, KafkaProducer)
FILES = ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_crlfile")


class KafkaPythonBus(KafkaBus):
    def __init__(
        self, settings: KafkaSettings, *, publish_timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> None:
        super().__init__(settings, publish_timeout_s=publish_timeout_s)
        _require_usable(settings.security)
        self.client = {
            "bootstrap_servers": settings.bootstrap_servers.split(","),
            "bootstrap_timeout_ms": CONNECT_TIMEOUT_MS,
            **settings.security,
        }
        if found := tokens(settings.security):
            self.client[PROVIDER] = _TokenProvider(found)
        self._admin: Any = None
        self._lock = threading.Lock()

    def _describe(self) -> Described:
        found = self._ask(lambda admin: admin.describe_topics([self.topic])[0])
        replicas = [len(one["replica_nodes"]) for one in found["partitions"]]
        return Described(found["error_code"], str(found["topic_id"]), replicas)

    def _cluster(self) -> Cluster:
        found = self._ask(lambda admin: admin.describe_cluster())
        return Cluster(found["cluster_id"], len(found["brokers"]))

    def _create(self, replicas: int, configuration: dict[str, str]) -> None:
        topic = NewTopic(self.topic, self.partitions, replicas, topic_configs=configuration)

        def create(admin: Any) -> None:
            try:
                admin.create_topics([topic])
            except TopicAlreadyExistsError:
                log.debug("another process has made the topic %s", self.topic)
            except RuntimeError as error:  # the client's, while the cluster has no controller
                raise BusError(f"Kafka: {error}") from error
            admin.wait_for_topics([self.topic])  # of whoever made it: not all brokers know it yet

        self._ask(create)

    def _configuration(self) -> dict[str, str]:
        resource = ConfigResource("topic", self.topic, list(CONFIGURATION))
        found = self._ask(lambda admin: admin.describe_configs([resource], config_filter="all"))
        configuration = found.get("topic", {}).get(self.topic, {})
        return {key: str(one["value"]) for key, one in configuration.items()}

    def _offsets(self, partitions: range, *, end: bool) -> dict[int, int]:
        spec = OffsetSpec.LATEST if end else OffsetSpec.EARLIEST
        asked = {TopicPartition(self.topic, p): spec for p in partitions}
        found = self._ask(lambda admin: admin.list_partition_offsets(asked))
        return {at.partition: answer.offset for at, answer in found.items()}

    def publisher(self) -> Publisher:
        return KafkaPublisher(self)

    def subscribe(self, group: str) -> Subscription:
        return KafkaSubscription(self, f"{group}.{self.topic}")

    def reader(self, positions: Mapping[int, int]) -> Reader:
        return KafkaReader(self, positions)

    def written_since(
        self, partition: int, since: datetime
    ) -> Iterator[tuple[LogRecord, datetime]]:
        return written_since(self, partition, since)

    def close(self) -> None:
        with self._lock:
            if self._admin is not None:
                self._admin.close()
                self._admin = None

    def consumer(self, **config: Any) -> Any:
        """A kafka-python consumer that keeps no offsets and resets none."""
        return self.client_of(
            KafkaConsumer,
            **config,
            metrics_enabled=False,
            enable_auto_commit=False,
            auto_offset_reset="none",
            allow_auto_create_topics=False,
            metadata_max_age_ms=10_000,
            max_partition_fetch_bytes=1024 * 1024,  # compressed; a larger record comes all the same
            fetch_max_bytes=8 * 1024 * 1024,
        )

    def client_of(self, kind: Callable[..., Any], **config: Any) -> Any:
        """One of kafka-python's clients. One that cannot connect would leave a thread behind
        at each attempt (tried), so its connections are closed here."""
        made: list[KafkaNetClient] = []

        def connect(**connection: Any) -> KafkaNetClient:
            made.append(KafkaNetClient(**connection))
            # The client tells neither to what asks for metadata (3.0.12): it would have the
            # broker create a topic that was deleted, and a reader begin after 100 ms.
            made[-1].cluster.config |= {
                "allow_auto_create_topics": False,
                "retry_backoff_ms": RETRY_MS,
            }
            return made[-1]

        with bus_errors(self):
            try:
                return kind(**self.client, **config, kafka_client=connect)
            except BaseException:
                for connections in made:
                    connections.close()
                raise

    def _ask(self, question: Callable[[Any], T]) -> T:
        """Ask through the one admin client, which is recreated after an error."""
        with self._lock, bus_errors(self):
            try:
                if self._admin is None:
                    self._admin = self.client_of(KafkaAdminClient, request_timeout_ms=10_000)
                return question(self._admin)
            except Exception:
                if self._admin is not None:
                    self._admin.close()
                    self._admin = None
                raise


def _require_usable(security: Mapping[str, Any]) -> None:
    """Raises `ImproperlyConfigured`: a client would refuse at each connection, for ever."""
    known = set.intersection(*({*client.DEFAULT_CONFIG} for client in CLIENTS))
    for name in security:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ImproperlyConfigured(
                f'POSTLOG["KAFKA"]["security"]["{name}"] is not an argument that all '
                f"clients of kafka-python take.{hint}"
            )
        if name in FILES and not _is_readable(security[name]):
            # What stands there may be the key itself, and is not shown.
            raise ImproperlyConfigured(
                f'POSTLOG["KAFKA"]["security"]["{name}"] names no file that this process can read.'
            )


def _is_readable(path: Any) -> bool:
    """kafka-python would not say which file is missing."""
    is_path = isinstance(path, str | os.PathLike)
    return path is None or (is_path and os.path.isfile(path) and os.access(path, os.R_OK))


class _TokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # comes without types
    def __init__(self, source: Tokens) -> None:
        self._source = source

    def token(self) -> str:
        return self._source.current().value

    def extensions(self) -> dict[str, str]:
        return dict(self._source.current().extensions)
