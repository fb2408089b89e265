"""The bus on Apache Kafka. The only module that knows the client, kafka-python."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from kafka import (
    ConsumerRebalanceListener,
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    OffsetSpec,
    TopicPartition,
)
from kafka.admin import ConfigResource, NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    KafkaError,
    LogTruncationError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
)
from kafka.net.compat import KafkaNetClient

from messaging.bus.base import (
    Bus,
    CountByBytes,
    Fetched,
    Identity,
    Message,
    Place,
    Polled,
    Publisher,
    Reader,
    Record,
    Subscription,
    partition_of,
)
from messaging.bus.hazards import (
    CONFIGURATION,
    LARGEST_BATCH,
    SAFE_REPLICAS,
    Topic,
    hazards_of,
)
from messaging.bus.refusals import NOT_AUTHORIZED, explained, refusal
from messaging.bus.signing import HEADER
from messaging.conf import KafkaSettings
from messaging.exceptions import BusError, Loss, OffsetOutOfRange

T = TypeVar("T")

log = logging.getLogger("postlog.kafka")

HEADERS = [("content-type", b"application/cloudevents+json")]
# What the broker takes with key, headers and overhead. New events are smaller (bus/base.py);
# those that an earlier release stored may be up to this.
LARGEST_EVER = 1024 * 1024 - 1024
PUBLISH_TIMEOUT_S = 30
CLOSE_TIMEOUT_S = 5
CONNECT_TIMEOUT_MS = 5_000
WAIT_S = 0.1  # the longest wait inside the client; a new assignment is told after it
GROUP = {
    "session_timeout_ms": 10_000,
    # A member hears that another came or left with the answer to its heartbeat.
    "heartbeat_interval_ms": 1_000,
    "max_poll_interval_ms": 300_000,
}
TOPIC = {
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "cleanup.policy": "delete",
    "max.message.bytes": str(LARGEST_BATCH),
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
            raise Loss(
                f"The broker has no topic {self.topic!r} (error {topic['error_code']}): it was "
                "deleted, or KAFKA_TOPIC names another than before. To make it and fill it again, "
                "run `manage.py republish --all --accept-new-log` and then `manage.py rebuild "
                "--from store`."
            )
        count = len(topic["partitions"])
        if count < self.partitions:
            raise Loss(
                f"The topic {self.topic!r} has {count} partitions, KAFKA_PARTITIONS says "
                f"{self.partitions}. Set KAFKA_PARTITIONS to what it was when the topic was made. "
                "If the topic was made again with fewer partitions, delete it, or name a new one "
                "with KAFKA_TOPIC; then run `manage.py republish --all --accept-new-log` and "
                "`manage.py rebuild --from store`."
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
        """Raise `Loss` if partitions beyond the configured count hold records: then it is more
        likely that the setting is wrong than that somebody added partitions."""
        begins, ends = (self._offsets(at, added) for at in (OffsetSpec.EARLIEST, OffsetSpec.LATEST))
        if written := sorted(p for p in added if begins[p] != ends[p]):
            raise Loss(
                f"The topic {self.topic!r} has records in partitions {written}, KAFKA_PARTITIONS "
                f"says {self.partitions}: they would not be read. Set KAFKA_PARTITIONS to what it "
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
        """Ask through the one admin client, which is made anew after an error."""
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


class KafkaPublisher(Publisher):
    def __init__(self, bus: KafkaBus) -> None:
        self._topic, self._partitions = bus.topic, bus.partitions
        self._bus = bus
        self._newest: list[Any] = []
        self._producer = bus.client_of(
            KafkaProducer,
            metrics_enabled=False,
            enable_idempotence=True,
            acks="all",
            linger_ms=5,
            batch_size=256 * 1024,
            compression_type="lz4",
            max_request_size=4 * 1024 * 1024,
            allow_auto_create_topics=False,
            # Else batches expire one by one, and later ones go out without them.
            delivery_timeout_ms=2**31 - 1,
            max_block_ms=int(bus.publish_timeout_s * 1000),
        )

    def send(self, messages: Sequence[Message]) -> Callable[[], list[Place]]:
        for key, value, _ in messages:
            if len(value) > LARGEST_EVER:
                raise Loss(
                    f"An event of stream {key} has {len(value):,} bytes; a record holds at most "
                    f"{LARGEST_EVER:,}. It can never be published, nor what follows it."
                )
        with self._closing_on_error():
            futures = self._newest = self._send(messages)

        def wait() -> list[Place]:
            with self._closing_on_error():
                return self._wait(futures)

        return wait

    def _send(self, messages: Sequence[Message]) -> list[Any]:
        send, topic, partitions = self._producer.send, self._topic, self._partitions
        try:
            return [
                send(
                    topic,
                    value=value,
                    key=key.encode(),
                    headers=HEADERS if signature is None else [*HEADERS, (HEADER, signature)],
                    partition=partition_of(key, partitions),
                )
                for key, value, signature in messages
            ]
        except ValueError as error:  # the client's, for a partition or a topic that is gone
            raise BusError(f"Kafka: the topic is not as it was: {error}") from error

    def _wait(self, futures: list[Any]) -> list[Place]:
        if futures is self._newest:
            # Nothing follows that could fill the client's batches: do not let them linger.
            self._producer.flush(timeout=self._bus.publish_timeout_s)
        deadline = time.monotonic() + self._bus.publish_timeout_s
        for future in futures:
            if not future.is_done:
                future.get(timeout=max(0.001, deadline - time.monotonic()))
            if not future.succeeded():
                why = explained(future.exception, self._topic, self._bus.user, writing=True)
                raise BusError(f"not acknowledged: {why}")
        return [Place(future.value.partition, future.value.offset) for future in futures]

    @contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        try:
            with bus_errors(self._bus):
                yield
        except BaseException:
            self.close()  # what was not acknowledged must not go out behind the caller's back
            raise

    def close(self) -> None:
        # close(timeout=0) of the client flushes first, fails at that, and leaves its thread
        # running, which then sends what was given up (3.0.12, tried). So stop the thread first.
        sender = self._producer._sender
        sender.force_close()
        sender.join(CLOSE_TIMEOUT_S)
        if sender.is_alive():  # it waits for a connection; take away what it could send then
            self._producer._accumulator.abort_incomplete_batches()
        try:
            self._producer.close(timeout=0)
        except KafkaError as error:
            log.warning("closing a producer: %s", error)


class KafkaReader(Reader):
    def __init__(self, bus: KafkaBus, positions: Mapping[int, int]) -> None:
        self._bus = bus
        self._consumer = bus.consumer(group_id=None)
        at = {TopicPartition(bus.topic, p): offset for p, offset in positions.items()}
        self._consumer.assign(list(at))
        for partition, offset in at.items():
            self._consumer.seek(partition, offset)
        self._reported = dict(positions)
        self._count = CountByBytes()

    def poll(self, *, timeout_s: float, max_records: int) -> Fetched:
        most = self._count.count(max_records)
        with bus_errors(self._bus):
            found = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=most)
        self._count.came(_sizes(found))
        return _fetched(self._consumer, found, self._reported)

    def pause(self, partition: int) -> None:
        self._consumer.pause(TopicPartition(self._bus.topic, partition))

    def close(self) -> None:
        self._consumer.close()


class KafkaSubscription(Subscription):
    def __init__(self, bus: KafkaBus, group: str) -> None:
        self._bus = bus
        self._paused: set[int] = set()
        self._reported: dict[int, int] = {}  # the next offset of each partition that was sought
        self._count = CountByBytes()
        assignor = CooperativeStickyAssignor()
        self._consumer = bus.consumer(
            group_id=group, partition_assignment_strategy=(assignor,), **GROUP
        )
        self._listener = _Listener(self._consumer, assignor)
        self._consumer.subscribe([bus.topic], listener=self._listener)

    def poll(self, *, timeout_s: float, max_records: int) -> Polled:
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(0.0, deadline - time.monotonic())
            with bus_errors(self._bus):
                found = self._consumer.poll(
                    timeout_ms=int(min(left, WAIT_S) * 1000),
                    max_records=self._count.count(max_records),
                )
            self._count.came(_sizes(found))
            self._finish_joining()
            if self._listener.changed:
                return self._changed()
            if found or not left:
                fetched = _fetched(self._consumer, found, self._reported)
                return Polled(self._assignment(), False, *fetched)

    def _finish_joining(self) -> None:
        """Ask again for a join that took longer than the poll.

        When it was new metadata that asked for it, the client forgets that it waits for an
        answer, and the member stays without partitions for ever (3.0.12, 6 of 60 starts; tried).
        """
        coordinator = self._consumer._coordinator
        if coordinator.rejoining:
            coordinator.request_rejoin()

    def _changed(self) -> Polled:
        """Hold all back until they are sought. What this poll found is read again."""
        self._listener.changed = False
        self._consumer.pause(*self._consumer.assignment())
        assignment = self._assignment()
        self._paused &= assignment  # a partition that comes back later is not paused
        self._reported.clear()
        return Polled(assignment, True, {}, {})

    def _assignment(self) -> frozenset[int]:
        # The group hands out all partitions of the topic. Those beyond the configured count stay
        # with the member that got them, paused.
        count = self._bus.partitions
        return frozenset(at.partition for at in self._consumer.assignment() if at.partition < count)

    def seek(self, partition: int, offset: int) -> None:
        at = self._at(partition)
        self._consumer.seek(at, offset)
        self._reported[partition] = offset
        if partition not in self._paused:
            self._consumer.resume(at)

    def pause(self, partition: int) -> None:
        self._paused.add(partition)
        self._consumer.pause(self._at(partition))

    def resume(self, partition: int) -> None:
        self._paused.discard(partition)
        self._consumer.resume(self._at(partition))

    def close(self) -> None:
        try:
            self._consumer.close(autocommit=False, timeout_ms=CLOSE_TIMEOUT_S * 1000)
        except KafkaError as error:
            log.warning("leaving the group: %s", error)

    def _at(self, partition: int) -> TopicPartition:
        return TopicPartition(self._bus.topic, partition)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # comes without types
    """Only sets a flag, and holds new partitions back until they are sought.

    Both change the client's own state; the checkpoints are read after the poll.
    """

    def __init__(self, consumer: Any, assignor: Any) -> None:
        self._consumer = consumer
        self._assignor = assignor
        self.changed = False

    def on_partitions_revoked(self, revoked: Any) -> None:
        self.changed = True

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.changed = True
        for at in assigned:
            self._consumer.seek(at, 0)
            self._consumer.pause(at)

    def on_partitions_lost(self, lost: Any) -> None:
        # The client would go on to claim what it owned before it was thrown out. Where two
        # members claim one partition, the leader can leave it to neither.
        self._assignor.member_assignment = None
        self.on_partitions_revoked(lost)


@contextmanager
def bus_errors(bus: KafkaBus) -> Iterator[None]:
    """The client's errors as ours. That a topic is gone is for `identity` to say: a broker
    that has not heard of a new topic yet answers the same."""
    try:
        yield
    except OffsetOutOfRangeError as error:
        ((at, offset),) = error.args[0].items()
        first, end = bus.begin_offsets()[at.partition], bus.end_offsets()[at.partition]
        raise OffsetOutOfRange(at.partition, offset, first, end) from error
    except LogTruncationError as error:
        raise Loss(f"The log was cut off behind what was read: {error}") from error
    except (KafkaError, OSError) as error:
        raise BusError(f"Kafka: {explained(error, bus.topic, bus.user)}") from error


def _sizes(found: Any) -> list[int]:
    return [len(record.value or b"") for part in found.values() for record in part]


def _fetched(consumer: Any, found: Any, reported: dict[int, int]) -> Fetched:
    """What a poll gave, counted from the offsets reported last, which are moved on.

    The client reads on from its position without a break and moves it over control records
    and what compaction removed. So what it did not return on the way holds no record.
    """
    records = {at.partition: _records(part, reported[at.partition]) for at, part in found.items()}
    for partition, part in records.items():
        reported[partition] = part[-1].offset + 1
    passed = {}
    for at, state in consumer._subscription.assignment.items():
        offset = reported.get(at.partition)
        if offset is None or at.partition in records or state.position is None:
            continue
        if state.position.offset > offset:
            passed[at.partition] = reported[at.partition] = state.position.offset
    return Fetched(records, passed)


def _records(part: Any, expected: int) -> list[Record]:
    if part[0].offset == expected and part[-1].offset == expected + len(part) - 1:
        return [
            Record(r.partition, r.offset, r.key, r.value, 0, _signature(r.headers)) for r in part
        ]
    records = []
    for r in part:
        if r.offset < expected:
            raise Loss(f"Partition {r.partition}: asked for offset {expected}, got {r.offset}.")
        gap, signature = r.offset - expected, _signature(r.headers)
        records.append(Record(r.partition, r.offset, r.key, r.value, gap, signature))
        expected = r.offset + 1
    return records


def _signature(headers: Sequence[tuple[str, bytes | None]]) -> bytes | None:
    if headers and headers[-1][0] == HEADER:  # as the relay writes it
        return headers[-1][1]
    for name, value in headers:
        if name == HEADER:
            return value
    return None
