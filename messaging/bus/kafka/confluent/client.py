"""The bus on Apache Kafka by confluent-kafka."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec

from messaging.bus.base import LogRecord, Publisher, Reader, Subscription
from messaging.bus.hazards import CONFIGURATION
from messaging.bus.kafka.bus import PUBLISH_TIMEOUT_S, Cluster, Described, KafkaBus, log
from messaging.bus.kafka.confluent.errors import Trouble, bus_errors
from messaging.bus.kafka.confluent.publisher import ConfluentPublisher
from messaging.bus.kafka.confluent.security import security
from messaging.bus.kafka.confluent.subscription import ConfluentReader, ConfluentSubscription
from messaging.bus.kafka.confluent.times import written_since
from messaging.conf import KafkaSettings
from messaging.exceptions import BusError

T = TypeVar("T")

client_log = logging.getLogger("kafka.confluent")
# Said at the start of every publisher: what it asks for is called experimental.
client_log.addFilter(lambda record: "enable.gapless.guarantee" not in record.getMessage())

ASK_TIMEOUT_S = 10.0
CREATED_WITHIN_S = 30.0
LOOK_AGAIN_S = 0.05
LEADERLESS = (  # for a moment, after a topic was made or a broker went
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.FENCED_LEADER_EPOCH,
)


class ConfluentBus(KafkaBus):
    def __init__(
        self, settings: KafkaSettings, *, publish_timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> None:
        super().__init__(settings, publish_timeout_s=publish_timeout_s)
        self._client = {
            "bootstrap.servers": settings.bootstrap_servers,
            "reconnect.backoff.max.ms": 1_000,
            "topic.metadata.refresh.interval.ms": 10_000,
            "allow.auto.create.topics": False,
            "log.connection.close": False,
            "logger": client_log,
            **security(settings.security),
        }
        self._admin: AdminClient | None = None
        self._trouble = Trouble()  # of the admin client
        self._lock = threading.Lock()

    def config(self, trouble: Trouble, own: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration of a client that reports to `trouble`."""
        return {**self._client, "error_cb": trouble.report, **own}

    def _describe(self) -> Described:
        def describe(admin: AdminClient) -> Described:
            asked = admin.describe_topics(
                TopicCollection([self.topic]), request_timeout=ASK_TIMEOUT_S
            )
            try:
                found = asked[self.topic].result()
            except KafkaException as error:
                if error.args[0].code() < 0:  # not the broker's word, but the client's
                    raise
                return Described(error.args[0].code(), "", [])
            replicas = [len(one.replicas) for one in found.partitions]
            return Described(0, _as_uuid(found.topic_id), replicas)

        return self._ask(describe)

    def _cluster(self) -> Cluster:
        def describe(admin: AdminClient) -> Cluster:
            found = admin.describe_cluster(request_timeout=ASK_TIMEOUT_S).result()
            return Cluster(found.cluster_id, len(found.nodes))

        return self._ask(describe)

    def _create(self, replicas: int, configuration: dict[str, str]) -> None:
        topic = NewTopic(self.topic, self.partitions, replicas, config=configuration)

        def create(admin: AdminClient) -> None:
            try:
                admin.create_topics([topic], request_timeout=ASK_TIMEOUT_S)[self.topic].result()
            except KafkaException as error:
                code = error.args[0].code()
                if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    raise KafkaException(KafkaError(code, "CreateTopicsRequest")) from error
                if code != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
                log.debug("another process has made the topic %s", self.topic)

        self._ask(create)
        deadline = time.monotonic() + CREATED_WITHIN_S
        while self._describe().error_code != 0:  # of whoever made it: not all brokers know it yet
            if time.monotonic() > deadline:
                raise BusError(f"Kafka: the new topic {self.topic!r} cannot be seen.")
            time.sleep(LOOK_AGAIN_S)

    def _configuration(self) -> dict[str, str]:
        resource = ConfigResource(ConfigResource.Type.TOPIC, self.topic)

        def describe(admin: AdminClient) -> dict[str, str]:
            asked = admin.describe_configs([resource], request_timeout=ASK_TIMEOUT_S)
            try:
                found = asked[resource].result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    raise
                return {}
            return {key: str(found[key].value) for key in CONFIGURATION if key in found}

        return self._ask(describe)

    def _offsets(self, partitions: range, *, end: bool) -> dict[int, int]:
        spec = OffsetSpec.latest() if end else OffsetSpec.earliest()
        asked = {TopicPartition(self.topic, p): spec for p in partitions}

        deadline = time.monotonic() + ASK_TIMEOUT_S

        def offsets(admin: AdminClient) -> dict[int, int]:
            while True:
                found = admin.list_offsets(asked, request_timeout=ASK_TIMEOUT_S)
                try:
                    return {at.partition: answer.result().offset for at, answer in found.items()}
                except KafkaException as error:
                    if error.args[0].code() not in LEADERLESS or time.monotonic() > deadline:
                        raise
                time.sleep(LOOK_AGAIN_S)

        return self._ask(offsets)

    def publisher(self) -> Publisher:
        return ConfluentPublisher(self)

    def subscribe(self, group: str) -> Subscription:
        return ConfluentSubscription(self, f"{group}.{self.topic}")

    def reader(self, positions: Mapping[int, int]) -> Reader:
        return ConfluentReader(self, positions)

    def written_since(
        self, partition: int, since: datetime
    ) -> Iterator[tuple[LogRecord, datetime]]:
        return written_since(self, partition, since)

    def close(self) -> None:
        with self._lock:
            self._admin = None

    def _ask(self, question: Callable[[AdminClient], T]) -> T:
        """Ask through the one admin client, which is recreated after an error."""
        with self._lock, bus_errors(self, self._trouble):
            if self._admin is None:
                self._trouble = Trouble()
                self._admin = AdminClient(self.config(self._trouble, {}))
            admin = self._admin
            try:
                return question(admin)
            except Exception:
                self._admin = None
                raise
            finally:
                admin.poll(0)  # hands over what it has to log, and why it cannot connect


def _as_uuid(topic_id: Any) -> str:
    """As kafka-python writes it: which client asks makes no other log of it."""
    most, least = topic_id.get_most_significant_bits(), topic_id.get_least_significant_bits()
    return str(UUID(int=(most % 2**64) << 64 | least % 2**64))
