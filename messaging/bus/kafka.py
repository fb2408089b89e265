"""The bus on Apache Kafka. The only module that knows the client, kafka-python."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
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
from kafka.admin import NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import (
    KafkaError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

from messaging.bus.base import (
    Bus,
    Identity,
    Message,
    Polled,
    Publisher,
    Record,
    Subscription,
    partition_of,
)
from messaging.conf import KafkaSettings
from messaging.exceptions import BusError, Loss, OffsetOutOfRange

T = TypeVar("T")

log = logging.getLogger("postlog.kafka")

HEADERS = [("content-type", b"application/cloudevents+json")]
LARGEST_RECORD = 1024 * 1024 - 1024  # bytes; the broker's own limit is 1 MiB with overhead
PUBLISH_TIMEOUT_S = 30
CONNECT_TIMEOUT_MS = 5_000
UNLIMITED = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}


class KafkaBus(Bus):
    def __init__(self, settings: KafkaSettings) -> None:
        self.topic = settings.topic
        self.partitions = settings.partitions
        self.client = {
            "bootstrap_servers": settings.bootstrap_servers.split(","),
            "bootstrap_timeout_ms": CONNECT_TIMEOUT_MS,
            **settings.security,
        }
        self._admin: Any = None
        self._lock = threading.Lock()

    def ensure_topic(self) -> None:
        topic = NewTopic(self.topic, self.partitions, -1, topic_configs=UNLIMITED)

        def create(admin: Any) -> None:
            if admin.describe_topics([self.topic])[0]["error_code"] == 0:
                return
            try:
                admin.create_topics([topic])
            except TopicAlreadyExistsError:
                return
            admin.wait_for_topics([self.topic])

        self._ask(create)

    def identity(self) -> Identity:
        def describe(admin: Any) -> tuple[Any, str]:
            return admin.describe_topics([self.topic])[0], admin.describe_cluster()["cluster_id"]

        topic, cluster = self._ask(describe)
        if topic["error_code"] != 0:
            raise Loss(
                f"The broker has no topic {self.topic!r} (error {topic['error_code']}): it was "
                "deleted, or KAFKA_TOPIC names another than before."
            )
        count = len(topic["partitions"])
        if count != self.partitions:
            raise Loss(
                f"The topic {self.topic!r} has {count} partitions, KAFKA_PARTITIONS says "
                f"{self.partitions}. With another count, new events of a stream would go to "
                "another partition than its old ones."
            )
        return Identity(cluster=cluster, topic=str(topic["topic_id"]), partitions=count)

    def publisher(self) -> Publisher:
        return KafkaPublisher(self)

    def subscribe(self, group: str) -> Subscription:
        return KafkaSubscription(self, f"{group}.{self.topic}")

    def begin_offsets(self) -> dict[int, int]:
        return self._offsets(OffsetSpec.EARLIEST)

    def end_offsets(self) -> dict[int, int]:
        return self._offsets(OffsetSpec.LATEST)

    def read(self, partition: int, start: int, stop: int) -> Iterator[list[Record]]:
        if start >= stop:
            return
        consumer = self.consumer(group_id=None)
        at = TopicPartition(self.topic, partition)
        try:
            consumer.assign([at])
            consumer.seek(at, start)
            while start < stop:
                with bus_errors(self):
                    found = consumer.poll(timeout_ms=1_000, max_records=5_000).get(at, [])
                records = [record for record in map(_record, found) if record.offset < stop]
                if records:
                    yield records
                    start = records[-1].offset + 1
        finally:
            consumer.close()

    def close(self) -> None:
        with self._lock:
            if self._admin is not None:
                self._admin.close()
                self._admin = None

    def consumer(self, **config: Any) -> Any:
        """A kafka-python consumer that keeps no offsets and resets none."""
        with bus_errors(self):
            return KafkaConsumer(
                **self.client,
                **config,
                metrics_enabled=False,
                enable_auto_commit=False,
                auto_offset_reset="none",
                allow_auto_create_topics=False,
                metadata_max_age_ms=10_000,
                max_partition_fetch_bytes=4 * 1024 * 1024,
            )

    def _offsets(self, spec: Any) -> dict[int, int]:
        asked = {TopicPartition(self.topic, p): spec for p in range(self.partitions)}
        found = self._ask(lambda admin: admin.list_partition_offsets(asked))
        return {at.partition: answer.offset for at, answer in found.items()}

    def _ask(self, question: Callable[[Any], T]) -> T:
        """Ask through the one admin client, which is made anew after an error."""
        with self._lock, bus_errors(self):
            try:
                if self._admin is None:
                    self._admin = KafkaAdminClient(**self.client, request_timeout_ms=10_000)
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
        with bus_errors(bus):
            self._producer: Any = KafkaProducer(
                **bus.client,
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
                max_block_ms=PUBLISH_TIMEOUT_S * 1000,
            )

    def publish(self, messages: Sequence[Message]) -> None:
        send, topic, partitions = self._producer.send, self._topic, self._partitions
        for key, value in messages:
            if len(value) > LARGEST_RECORD:
                raise Loss(
                    f"An event of stream {key} has {len(value):,} bytes; a record holds at most "
                    f"{LARGEST_RECORD:,}. It can never be published, nor what follows it."
                )
        with bus_errors(self._bus):
            futures = [
                send(
                    topic,
                    value=value,
                    key=key.encode(),
                    headers=HEADERS,
                    partition=partition_of(key, partitions),
                )
                for key, value in messages
            ]
            self._producer.flush(timeout=PUBLISH_TIMEOUT_S)
            for future in futures:
                if not future.succeeded():
                    raise BusError(f"not acknowledged: {future.exception or 'timed out'}")

    def close(self) -> None:
        try:
            self._producer.close(timeout=0)
        except KafkaError as error:
            log.debug("closing a producer with messages that nobody waits for: %s", error)


class KafkaSubscription(Subscription):
    def __init__(self, bus: KafkaBus, group: str) -> None:
        self._bus = bus
        self._paused: set[int] = set()
        self._consumer = bus.consumer(
            group_id=group,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=3_000,
            partition_assignment_strategy=(CooperativeStickyAssignor,),
        )
        self._listener = _Listener(self._consumer)
        self._consumer.subscribe([bus.topic], listener=self._listener)

    def poll(self, *, timeout_s: float, max_records: int) -> Polled:
        with bus_errors(self._bus):
            found = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=max_records)
            assignment = frozenset(at.partition for at in self._consumer.assignment())
        if self._listener.changed:
            self._listener.changed = False
            return Polled(assignment, True, {})
        records = {at.partition: [_record(r) for r in part] for at, part in found.items()}
        return Polled(assignment, False, records)

    def seek(self, partition: int, offset: int) -> None:
        at = self._at(partition)
        self._consumer.seek(at, offset)
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
            self._consumer.close(autocommit=False)
        except KafkaError as error:
            log.warning("leaving the group: %s", error)

    def _at(self, partition: int) -> TopicPartition:
        return TopicPartition(self._bus.topic, partition)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # comes without types
    """Only sets a flag, and holds new partitions back until they are sought.

    Both change the client's own state; the checkpoints are read after the poll.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self.changed = False

    def on_partitions_revoked(self, revoked: Any) -> None:
        self.changed = True

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.changed = True
        for at in assigned:
            self._consumer.seek(at, 0)
            self._consumer.pause(at)


@contextmanager
def bus_errors(bus: KafkaBus) -> Iterator[None]:
    """The client's errors as ours."""
    try:
        yield
    except (OffsetOutOfRangeError, NoOffsetForPartitionError) as error:
        raise _out_of_range(bus, error) from error
    except LogTruncationError as error:
        raise Loss(f"The log was cut off behind what was read: {error}") from error
    except UnknownTopicOrPartitionError as error:
        raise Loss(f"The topic {bus.topic!r} or one of its partitions is gone.") from error
    except (KafkaError, OSError) as error:
        raise BusError(f"Kafka: {type(error).__name__}: {error}") from error


def _out_of_range(bus: KafkaBus, error: Any) -> Loss:
    for at, offset in dict(error.args[0]).items():
        return OffsetOutOfRange(
            at.partition,
            offset,
            bus.begin_offsets()[at.partition],
            bus.end_offsets()[at.partition],
        )
    return Loss(f"A partition no longer has the offset of its checkpoint: {error}")


def _record(found: Any) -> Record:
    return Record(found.partition, found.offset, found.key, found.value)
