"""Records put into the log by hand: what no relay would publish."""

from typing import Any
from uuid import UUID, uuid4

from messaging import codec
from messaging.bus import current_bus
from messaging.bus.base import Message
from messaging.message import Envelope, utc_now


def record_of(stream_id: UUID, version: int, event: Any, **changes: Any) -> Message:
    wire_name, data = codec.encode_event(event)
    values: dict[str, Any] = {
        "event_id": uuid4(),
        "stream_id": stream_id,
        "stream_type": "post",
        "version": version,
        "type": wire_name,
        "recorded_at": utc_now(),
        "actor": "alice",
        "command_id": uuid4(),
        "correlation_id": uuid4(),
        "causation_id": None,
        "traceparent": "",
    }
    envelope = Envelope(**(values | changes))
    return Message(str(stream_id), codec.encode_record(envelope, data))


BATCH = 1_000


def publish(*messages: Message) -> None:
    """In batches, as a relay does: a transaction of all could be idle for too long."""
    bus = current_bus()
    bus.ensure_topic()
    publisher = bus.publisher()
    try:
        for start in range(0, len(messages), BATCH):
            publisher.publish(messages[start : start + BATCH])
    finally:
        publisher.close()
