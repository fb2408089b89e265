"""Losing things: the tail of a log, a topic, a database that is put back to an earlier copy."""

import shutil
from pathlib import Path
from uuid import UUID, uuid4

from django.contrib.auth import get_user_model
from django.db import connection, connections, transaction

from commands_app.commands import NewPost
from messaging import mediator
from messaging.bus import current_bus
from messaging.bus.base import partition_of
from messaging.bus.models import EmbeddedRecord, Log, LogPartition
from messaging.eventstore.models import (
    Event,
    LogIdentity,
    Outbox,
    Receipt,
    Snapshot,
    Stream,
)
from messaging.message import Context
from messaging.monitoring.status import current_status
from messaging.testing.waiting import wait_until
from tests.support.modes import Mode, postgresql


def a_post_in_each_partition(times: int = 1) -> list[UUID]:
    """So that every partition of the log grows by as many records."""
    found: list[UUID] = []
    for partition in range(12):
        for _ in range(times):
            post_id = next(i for i in iter(uuid4, None) if partition_of(str(i), 12) == partition)
            mediator.send(NewPost(post_id=post_id, message="Hello"), Context(actor="alice"))
            found.append(post_id)
    return found


def lose_tail(ends: dict[int, int]) -> None:
    """Put the embedded log back to where it ended at these offsets. The store stays."""
    topic = current_bus().topic  # type: ignore[attr-defined]  # the embedded one
    with transaction.atomic():
        for partition, end in ends.items():
            rows = {"topic": topic, "partition": partition}
            EmbeddedRecord.objects.filter(**rows, offset__gte=end).delete()
            LogPartition.objects.filter(**rows).update(next_offset=end)


def drained() -> bool:
    found = current_status()
    return found.outbox == 0 and found.lag == 0


def wipe_store() -> None:
    """As if the database was new. The embedded log lives in it too, and stays here."""
    models = (Event, Outbox, Stream, Receipt, Snapshot, LogIdentity, get_user_model())
    without_triggers(*[f"DELETE FROM {model._meta.db_table}" for model in models])


def copy_of_write_database(mode: Mode, folder: Path) -> Path | str:
    connections.close_all()
    if mode.vendor == "sqlite":
        copy = folder / "earlier.sqlite3"
        source = Path(connections["default"].settings_dict["NAME"])
        with connections["default"].cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connections.close_all()
        shutil.copy(source, copy)
        return copy
    name = connections["default"].settings_dict["NAME"]
    postgresql(f'CREATE DATABASE "{name}_earlier" TEMPLATE "{name}"')
    return f"{name}_earlier"


def put_back(mode: Mode, copy: Path | str) -> None:
    connections.close_all()
    name = str(connections["default"].settings_dict["NAME"])
    if mode.vendor == "sqlite":
        for ending in ("", "-wal", "-shm"):
            Path(name + ending).unlink(missing_ok=True)
        shutil.copy(copy, name)
    else:
        postgresql(f'DROP DATABASE "{name}" WITH (FORCE)')
        postgresql(f'ALTER DATABASE "{copy}" RENAME TO "{name}"')


def recreate_topic(mode: Mode) -> None:
    bus = current_bus()
    if mode.bus == "kafka":
        from kafka import KafkaAdminClient

        admin = KafkaAdminClient(bootstrap_servers=mode.env["KAFKA_BOOTSTRAP_SERVERS"])
        before = bus.identity()
        admin.delete_topics([mode.env["KAFKA_TOPIC"]])
        admin.close()

        def made() -> bool:
            bus.ensure_topic()
            return bus.identity() != before

        wait_until(lambda: quietly(made), "the topic is there again")
    else:
        with transaction.atomic():
            for model in (Log, LogPartition, EmbeddedRecord):
                model.objects.all().delete()
            bus.ensure_topic()


def lose_records_before(mode: Mode, partition: int, offset: int) -> None:
    """As retention would."""
    topic = mode.env["KAFKA_TOPIC"]
    if mode.bus == "kafka":
        from kafka import KafkaAdminClient, TopicPartition

        admin = KafkaAdminClient(bootstrap_servers=mode.env["KAFKA_BOOTSTRAP_SERVERS"])
        admin.delete_records({TopicPartition(topic, partition): offset})
        admin.close()
    else:
        EmbeddedRecord.objects.filter(topic=topic, partition=partition, offset__lt=offset).delete()


def without_triggers(*statements: str) -> None:
    with connections["default"].cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
        else:
            cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'events_refuse_delete'")
            trigger = cursor.fetchone()[0]
            cursor.execute("DROP TRIGGER events_refuse_delete")
        for statement in statements:
            cursor.execute(statement)
        cursor.execute(
            "RESET session_replication_role" if connection.vendor == "postgresql" else trigger
        )


def quietly(condition):
    from messaging.exceptions import PostlogError

    try:
        return condition()
    except PostlogError:
        return False
