"""Whether a kept connection to a database still lives: asked once a second, not at each request.

Django asks before a request's first statement, which is a round trip (CONN_HEALTH_CHECKS). A
server that was alive a second ago mostly is; if not, the request is answered with 503, as
those that come while it is away, and the next one connects again.
"""

import time
from typing import Any

from django.core.signals import request_started
from django.db import connections
from django.db.backends.signals import connection_created

BELIEVED_FOR_S = 1.0


def believe_for_a_second() -> None:
    """For the requests of this process. Django's own receiver comes first, and asks for a check."""
    connection_created.connect(_note_checks, dispatch_uid=__name__)
    request_started.connect(_spare_checks, dispatch_uid=__name__)


def _note_checks(connection: Any, **kwargs: Any) -> None:
    ask = type(connection).is_usable

    def is_usable() -> bool:
        found: bool = ask(connection)
        if found:
            connection.alive_at = time.monotonic()
        return found

    connection.is_usable = is_usable
    connection.alive_at = time.monotonic()


def _spare_checks(**kwargs: Any) -> None:
    now = time.monotonic()
    connection: Any  # with what `_note_checks` notes
    for connection in connections.all(initialized_only=True):
        if now - getattr(connection, "alive_at", -BELIEVED_FOR_S) < BELIEVED_FOR_S:
            connection.health_check_done = True
