"""Hazards of the log: nothing is lost yet, but the way the topic is set up can lose history.

Each is a sentence for operators, with the setting that cures it. Relay and consumer log
them at start and every ten minutes; `status`, the console and `check --deploy` show them.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Event as Flag

from messaging.bus.base import Bus
from messaging.conf import PARTITIONS
from messaging.exceptions import BusError, HistoryMismatch

log = logging.getLogger("postlog.log")

LOOK_EVERY_S = 600.0
RETRY_S = 10.0
SAFE_REPLICAS = 3
UNSAFE: dict[str, tuple[str, str]] = {  # configuration -> the safe value, what others do
    "retention.ms": ("-1", "deletes records by their age"),
    "retention.bytes": ("-1", "deletes records when there are many"),
    "cleanup.policy": ("delete", "is compacted, which deletes all but the last event of a stream"),
    "unclean.leader.election.enable": (
        "false",
        "lets a broker lead that lacks records, which are then lost",
    ),
}
IN_SYNC = "min.insync.replicas"
SIZE_LIMIT = "max.message.bytes"
MAX_BATCH_BYTES = 1024 * 1024 + 12  # bytes: the broker's own default, whatever it is set to
CONFIGURATION = (*UNSAFE, IN_SYNC, SIZE_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic as the broker describes it."""

    name: str
    partitions: int
    configured_partitions: int
    brokers: int
    replicas: int  # of the partition that has the fewest
    configuration: Mapping[str, str]  # those of `CONFIGURATION`; empty if it may not be read


def hazards_of(topic: Topic) -> list[str]:
    return [f"The topic {topic.name!r} {hazard}" for hazard in _hazards_of(topic)]


def _hazards_of(topic: Topic) -> Iterator[str]:
    configured = topic.configured_partitions
    if topic.partitions > configured:
        yield (
            f"has {topic.partitions} partitions, {PARTITIONS} says {configured}. Those "
            f"from {configured} on are neither written nor read. Leave the setting as it is: "
            "another count would split streams."
        )
    if topic.replicas < min(topic.brokers, SAFE_REPLICAS):
        yield (
            f"has {topic.replicas} replicas on {topic.brokers} brokers: a lost disk can lose "
            "records. Add replicas with kafka-reassign-partitions."
        )
    if not topic.configuration:
        yield (
            "does not show its configuration, so that nobody would notice retention or "
            "compaction. Grant DescribeConfigs on it."
        )
        return
    for key, (safe, what) in UNSAFE.items():
        value = topic.configuration.get(key, safe)
        if value != safe:
            yield f"{what} ({key}={value}). {_cure(topic, key, safe)}"
    largest = int(topic.configuration.get(SIZE_LIMIT, MAX_BATCH_BYTES))
    if largest < MAX_BATCH_BYTES:
        cure = _cure(topic, SIZE_LIMIT, str(MAX_BATCH_BYTES))
        yield (
            f"refuses large events that the store takes ({SIZE_LIMIT}={largest}): such a one, and "
            f"all behind it, would never be published. {cure}"
        )
    in_sync = int(topic.configuration.get(IN_SYNC, "1"))
    if topic.replicas >= SAFE_REPLICAS and in_sync < 2:
        yield (
            f"acknowledges what only one replica has ({IN_SYNC}={in_sync}): its disk's loss would "
            f"lose records. {_cure(topic, IN_SYNC, '2')}"
        )


def _cure(topic: Topic, key: str, value: str) -> str:
    return (
        "Run kafka-configs --alter --entity-type topics "
        f"--entity-name {topic.name} --add-config {key}={value}"
    )


def watch_hazards(bus: Bus, stop: Flag) -> None:
    """Log the hazards at start and from time to time, until `stop` is set."""
    while not stop.is_set():
        try:
            for hazard in bus.hazards():
                log.warning("%s", hazard)
            stop.wait(LOOK_EVERY_S)
        except (BusError, HistoryMismatch) as error:  # whoever needs the bus says so loudly
            log.debug("hazards are unknown: %s", error)
            stop.wait(RETRY_S)
