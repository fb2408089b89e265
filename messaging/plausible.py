"""Recognize impossible events: those that no handler can have led to, signed or not.

The event store refuses to store one (eventstore/unit_of_work.py), and a consumer parks it
(projections/consuming/decoding.py).
"""

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper

from messaging import codec
from messaging.dialect.values import database_now
from messaging.exceptions import DecodeError, UnknownMessage
from messaging.message import Envelope, naming_of, utc_now

# As Django's validator has it, whatever stricter rule new accounts meet: existing names stay valid.
USERNAME = re.compile(r"[\w.@+-]{1,150}")
# Clocks are wrong by minutes, and the store bounds the times that it takes (statements.py).
FUTURE = timedelta(days=1)


@lru_cache(maxsize=10_000)
def is_username(name: str) -> bool:
    """Tell whether an account can have this name."""
    return USERNAME.fullmatch(name) is not None


def fault_of(envelope: Envelope, event: Any) -> str:
    """Say why an event is impossible, or nothing. `event` is None where the payload is not read."""
    if not is_username(envelope.actor):
        return f"no account can have the name of its actor, {ascii(envelope.actor)[:60]}"
    if event is None:
        return ""
    naming = naming_of(type(event))
    if naming.stream != envelope.stream_type:
        return (
            f"it belongs to streams of type {naming.stream!r}, its envelope says "
            f"{ascii(envelope.stream_type)[:60]}"
        )
    if naming.id_field:
        named: UUID = getattr(event, naming.id_field)
        if named != envelope.stream_id:
            return f"its payload is about {named}, its envelope about {envelope.stream_id}"
    for field in naming.usernames:
        if not is_username(name := getattr(event, field)):
            return f"no account can have the name in {field}, {ascii(name)[:60]}"
    return ""


def fault_of_document(envelope: Envelope, data: codec.Payload) -> str:
    """Say the same about a payload that is not decoded yet."""
    try:
        event = codec.decode_event(envelope.type, data)
    except (DecodeError, UnknownMessage):
        event = None
    return fault_of(envelope, event)


def latest(connection: BaseDatabaseWrapper) -> datetime:
    """Return the latest plausible time, whichever of the two clocks is wrong."""
    return max(utc_now(), database_now(connection)) + FUTURE
