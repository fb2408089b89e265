"""A host whose clock is wrong."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from unittest.mock import patch

from django.db.models.functions import Now

from messaging.projections.models import Checkpoint


@contextmanager
def clock_off_by(seconds: float) -> Iterator[None]:
    """Let this process's clock be wrong, until the end. The database's stays right."""

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=seconds)

    real = time.time
    with (
        patch("messaging.message.datetime", Wrong),
        patch("django.utils.timezone.datetime", Wrong),
        patch("time.time", lambda: real() + seconds),
    ):
        yield


def nobody_moved_for(seconds: int) -> None:
    Checkpoint.objects.update(checked_at=Now() - timedelta(seconds=seconds))
