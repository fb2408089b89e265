"""The bus on Apache Kafka, whichever client speaks to it: its topic, and how safe it is."""

import logging
import time
from abc import abstractmethod
from typing import NamedTuple

from messaging.bus.base import Bus, Identity
from messaging.bus.hazards import MAX_BATCH_BYTES, SAFE_REPLICAS, Topic, hazards_of
from messaging.bus.kafka.refusals import NOT_AUTHORIZED, refusal
from messaging.conf import PARTITIONS, KafkaSettings
from messaging.exceptions import BusError, HistoryMismatch

log = logging.getLogger("postlog.kafka")

PUBLISH_TIMEOUT_S = 30
UNKNOWN_TOPIC = 3  # UNKNOWN_TOPIC_OR_PARTITION
# One broker knows a new topic before the others do, and the next question may go to any of them.
SPREADS_WITHIN_S, ASK_EVERY_S = 5.0, 0.2
TOPIC = {
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "cleanup.policy": "delete",
    "max.message.bytes": str(MAX_BATCH_BYTES),
}


class Described(NamedTuple):
    """A topic as the broker describes it."""

    error_code: int  # Kafka's; 0: it is there
    topic_id: str
    replicas: list[int]  # of each partition


class Cluster(NamedTuple):
    cluster_id: str
    brokers: int


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
        self._ensured: float | None = None  # when a broker last had the topic, as time.monotonic()

    @abstractmethod
    def _describe(self) -> Described: ...

    @abstractmethod
    def _cluster(self) -> Cluster: ...

    @abstractmethod
    def _create(self, replicas: int, configuration: dict[str, str]) -> None:
        """Make the topic, or wait for whoever makes it at the same time."""

    @abstractmethod
    def _configuration(self) -> dict[str, str]:
        """Those of hazards.CONFIGURATION; empty if it may not be read."""

    @abstractmethod
    def _offsets(self, partitions: range, *, end: bool) -> dict[int, int]: ...

    def ensure_topic(self) -> None:
        if self._seen().error_code != 0:
            replicas = self._replication or min(self._cluster().brokers, SAFE_REPLICAS)
            in_sync = {"min.insync.replicas": "2"} if replicas >= SAFE_REPLICAS else {}
            self._create(replicas, TOPIC | in_sync)
        self._ensured = time.monotonic()

    def identity(self) -> Identity:
        topic, cluster = self._seen(), self._cluster()
        while topic.error_code == UNKNOWN_TOPIC and self._is_new():
            time.sleep(ASK_EVERY_S)
            topic = self._seen()
        if topic.error_code != 0:
            raise HistoryMismatch(
                f"The broker has no topic {self.topic!r} (error {topic.error_code}): it was "
                'deleted, or POSTLOG["KAFKA"]["topic"] names another. To make it and fill it '
                "again, run `manage.py republish --all --accept-new-log` and then `manage.py "
                "rebuild --from store`."
            )
        count = len(topic.replicas)
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
        return Identity(
            cluster=cluster.cluster_id, topic=topic.topic_id, partitions=self.partitions
        )

    def _is_new(self) -> bool:
        return self._ensured is not None and time.monotonic() < self._ensured + SPREADS_WITHIN_S

    def _seen(self) -> Described:
        """The topic, or why there is none. Raises `BusError` if it may not be seen: it may well be
        there."""
        topic = self._describe()
        if topic.error_code == NOT_AUTHORIZED:
            raise BusError(f"Kafka: {refusal('', self.topic, self.user)}")
        return topic

    def _require_empty(self, added: range) -> None:
        """Raise `HistoryMismatch` if partitions beyond the configured count hold records: then
        it is more likely that the setting is wrong than that somebody added partitions."""
        begins, ends = self._offsets(added, end=False), self._offsets(added, end=True)
        if written := sorted(p for p in added if begins[p] != ends[p]):
            raise HistoryMismatch(
                f"The topic {self.topic!r} has records in partitions {written}, {PARTITIONS} says "
                f"{self.partitions}: they would not be read. Set that to what it "
                "was when the topic was made; or, if they are not Postlog's, delete them with "
                "kafka-delete-records."
            )

    def hazards(self) -> list[str]:
        topic = self._describe()
        if topic.error_code != 0:
            return []  # `identity` says so
        return hazards_of(
            Topic(
                name=self.topic,
                partitions=len(topic.replicas),
                configured_partitions=self.partitions,
                brokers=self._cluster().brokers,
                replicas=min(topic.replicas),
                configuration=self._configuration(),
            )
        )

    def begin_offsets(self) -> dict[int, int]:
        return self._offsets(range(self.partitions), end=False)

    def end_offsets(self) -> dict[int, int]:
        return self._offsets(range(self.partitions), end=True)
