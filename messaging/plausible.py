"""Recognize impossible events: those that no handler can have led to, signed or not.

The event store refuses to store one (eventstore/unit_of_work.py), and a consumer parks it
(projections/consuming/decoding.py).
"""

import re
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import BaseDatabaseWrapper

from messaging import codec
from messaging.dialect.values import database_now
from messaging.exceptions import DecodeError, UnknownMessage
from messaging.message import MAX_ACTOR, Envelope, naming_of, utc_now

# As Django's validator has it, whatever stricter rule new accounts meet: existing names stay valid.
USERNAME = re.compile(r"[\w.@+-]+")
# Clocks are wrong by minutes, and the store bounds the times that it takes (statements.py).
FUTURE = timedelta(days=1)


@lru_cache(maxsize=10_000)
def is_username(name: str) -> bool:
    """Tell whether an account can have this name, by what USERNAME_FIELD of the user model holds.

    A field that is called otherwise than Django's may hold all that is visible, such as an e-mail
    address.
    """
    field, longest = _username_field()
    if not 0 < len(name) <= longest:
        return False
    if field == "username":
        return USERNAME.fullmatch(name) is not None
    return name.isprintable() and name == name.strip()


@cache
def _username_field() -> tuple[str, int]:
    """Its name, and how many characters of it the columns of events hold."""
    try:
        model = get_user_model()
    except ImproperlyConfigured:  # a project without accounts
        return "username", MAX_ACTOR
    name: str = model.USERNAME_FIELD
    longest = getattr(model._meta.get_field(name), "max_length", None)
    return name, min(longest or MAX_ACTOR, MAX_ACTOR)


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
