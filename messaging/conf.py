"""Postlog's settings as one typed object, read on access so that `override_settings` works."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from messaging.actors import Actors


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    bootstrap_servers: str  # comma separated host:port; empty: the embedded log is used
    topic: str
    partitions: int
    replication: int = 0  # replicas of a new topic; 0: as many as there are brokers, at most 3
    security: dict[str, Any] = field(default_factory=dict)  # arguments of a kafka-python client


def lock_database() -> dict[str, Any] | None:
    """Django's settings of the database that has the locks; None: each database has its own."""
    found: dict[str, Any] | None = settings.POSTLOG_LOCK_DATABASE
    return found


def actors() -> "type[Actors]":
    """Who an actor is: the class that POSTLOG_ACTORS names."""
    found: type[Actors] = import_string(settings.POSTLOG_ACTORS)
    return found


def record_keys() -> tuple[tuple[str, str], ...]:
    """Ids and secrets. The first signs, all verify."""
    return tuple(settings.POSTLOG_RECORD_KEYS)


def signs_records() -> bool:
    """By default with Kafka, once there are keys: whoever can write to the embedded log can write
    to the event store as well."""
    chosen = signs_records_by_choice()
    by_default = bool(settings.POSTLOG_KAFKA["bootstrap_servers"])
    return bool(record_keys()) and (by_default if chosen is None else chosen)


def signs_records_by_choice() -> bool | None:
    """None: by default."""
    chosen: bool | None = settings.POSTLOG_SIGN_RECORDS
    return chosen


def kafka() -> KafkaSettings:
    values: dict[str, Any] = settings.POSTLOG_KAFKA
    return KafkaSettings(**values)
