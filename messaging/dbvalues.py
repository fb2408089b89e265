"""Values for plain SQL, as Django's fields store them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper


def db_uuid(connection: BaseDatabaseWrapper, value: UUID) -> Any:
    """As UUIDField does."""
    return value if connection.features.has_native_uuid_field else value.hex


def db_time(connection: BaseDatabaseWrapper, value: datetime) -> Any:
    """As DateTimeField does."""
    return connection.ops.adapt_datetimefield_value(value)
