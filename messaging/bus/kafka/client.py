"""The bus on Apache Kafka: its topic, offsets, and who publishes and reads."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, OffsetSpec, TopicPartition
from kafka.admin import ConfigResource, NewTopic
from kafka.errors import TopicAlreadyExistsError
from kafka.net.compat import KafkaNetClient

from messaging.bus.base import Bus, Identity, Publisher, Reader, Subscription
from messaging.bus.hazards import CONFIGURATION, MAX_BATCH_BYTES, SAFE_REPLICAS, Topic, hazards_of
from messaging.bus.kafka.errors import bus_errors
from messaging.bus.kafka.publisher import KafkaPublisher
from messaging.bus.kafka.refusals import NOT_AUTHORIZED, refusal
from messaging.bus.kafka.subscription import KafkaReader, KafkaSubscription
from messaging.conf import PARTITIONS, KafkaSettings
from messaging.exceptions import BusError, HistoryMismatch

T = TypeVar("T")

log = logging.getLogger("postlog.kafka")

PUBLISH_TIMEOUT_S = 30
CONNECT_TIMEOUT_MS = 5_000
TOPIC = {
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "cleanup.policy": "delete",
    "max.message.bytes": str(MAX_BATCH_BYTES),
}


class KafkaBus(Bus):
    """`publish_timeout_s`: how long a publisher waits for an acknowledgement."""

    def __init__(
        self, settings: KafkaSettings, *, publish_timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> None:
        self.topic = settings.topic
        self.publish_timeout_s = publish_timeout_s
        self.partitions = settings.partitions
        self.user = settings.security.get("sasl_plain_username", "")
        self._replication = settings.replication
        self.client = {
            "bootstrap_servers": settings.bootstrap_servers.split(","),
            "bootstrap_timeout_ms": CONNECT_TIMEOUT_MS,
            **settings.security,
        }
        self._admin: Any = None
        self._lock = threading.Lock()

    def ensure_topic(self) -> None:
        def create(admin: Any) -> None:
            if self._described(admin)["error_code"] == 0:
                return
            brokers = len(admin.describe_cluster()["brokers"])
            replicas = self._replication or min(brokers, SAFE_REPLICAS)
            configs = TOPIC | ({"min.insync.replicas": "2"} if replicas >= SAFE_REPLICAS else {})
            try:
                admin.create_topics(
                    [NewTopic(self.topic, self.partitions, replicas, topic_configs=configs)]
                )
            except TopicAlreadyExistsError:
                log.debug("another process has made the topic %s", self.topic)
            except RuntimeError as error:  # the client's, while the cluster has no controller
                raise BusError(f"Kafka: {error}") from error
            admin.wait_for_topics([self.topic])  # of whoever made it: not all brokers know it yet

        self._ask(create)

    def identity(self) -> Identity:
        def describe(admin: Any) -> tuple[Any, str]:
            return self._described(admin), admin.describe_cluster()["cluster_id"]

        topic, cluster = self._ask(describe)
        if topic["error_code"] != 0:
            raise HistoryMismatch(
                f"The broker has no topic {self.topic!r} (error {topic['error_code']}): it was "
                'deleted, or POSTLOG["KAFKA"]["topic"] names another. To make it and fill it '
                "again, run `manage.py republish --all --accept-new-log` and then `manage.py "
                "rebuild --from store`."
            )
        count = len(topic["partitions"])
        if count < self.partitions:
            raise HistoryMismatch(
                f"The topic {self.topic!r} has {count} partitions, {PARTITIONS} says "
                f"{self.partitions}. Set that to what it was when the topic was made. If the topic "
                "was made again with fewer partitions, delete it, or name a new one with "
                'POSTLOG["KAFKA"]["topic"]; then run `manage.py republish --all --accept-new-log` '
                "and `manage.py rebuild --from store`."
            )
        if count > self.partitions:
            self._require_empty(range(self.partitions, count))
        # The configured count, by which keys go: added partitions make no other log of it.
        return Identity(cluster=cluster, topic=str(topic["topic_id"]), partitions=self.partitions)

    def _described(self, admin: Any) -> Any:
        """The topic, or why there is none. Raises `BusError` if it may not be seen: it may well be
        there."""
        topic = admin.describe_topics([self.topic])[0]
        if topic["error_code"] == NOT_AUTHORIZED:
            raise BusError(f"Kafka: {refusal('', self.topic, self.user)}")
        return topic

    def _require_empty(self, added: range) -> None:
        """Raise `HistoryMismatch` if partitions beyond the configured count hold records: then
        it is more likely that the setting is wrong than that somebody added partitions."""
        begins, ends = (self._offsets(at, added) for at in (OffsetSpec.EARLIEST, OffsetSpec.LATEST))
        if written := sorted(p for p in added if begins[p] != ends[p]):
            raise HistoryMismatch(
                f"The topic {self.topic!r} has records in partitions {written}, {PARTITIONS} says "
                f"{self.partitions}: they would not be read. Set that to what it "
                "was when the topic was made; or, if they are not Postlog's, delete them with "
                "kafka-delete-records."
            )

    def hazards(self) -> list[str]:
        def ask(admin: Any) -> list[str]:
            topic = admin.describe_topics([self.topic])[0]
            if topic["error_code"] != 0:
                return []  # `identity` says so
            resource = ConfigResource("topic", self.topic, list(CONFIGURATION))
            found = admin.describe_configs([resource], config_filter="all")
            config = found.get("topic", {}).get(self.topic, {})
            return hazards_of(
                Topic(
                    name=self.topic,
                    partitions=len(topic["partitions"]),
                    configured_partitions=self.partitions,
                    brokers=len(admin.describe_cluster()["brokers"]),
                    replicas=min(len(one["replica_nodes"]) for one in topic["partitions"]),
                    configuration={key: str(one["value"]) for key, one in config.items()},
                )
            )

        return self._ask(ask)

    def publisher(self) -> Publisher:
        return KafkaPublisher(self)

    def subscribe(self, group: str) -> Subscription:
        return KafkaSubscription(self, f"{group}.{self.topic}")

    def begin_offsets(self) -> dict[int, int]:
        return self._offsets(OffsetSpec.EARLIEST, range(self.partitions))

    def end_offsets(self) -> dict[int, int]:
        return self._offsets(OffsetSpec.LATEST, range(self.partitions))

    def reader(self, positions: Mapping[int, int]) -> Reader:
        return KafkaReader(self, positions)

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
            return made[-1]

        with bus_errors(self):
            try:
                return kind(**self.client, **config, kafka_client=connect)
            except BaseException:
                for connections in made:
                    connections.close()
                raise

    def _offsets(self, spec: Any, partitions: range) -> dict[int, int]:
        asked = {TopicPartition(self.topic, p): spec for p in partitions}
        found = self._ask(lambda admin: admin.list_partition_offsets(asked))
        return {at.partition: answer.offset for at, answer in found.items()}

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
