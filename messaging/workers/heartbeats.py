"""Which workers are alive: each writes a row every few seconds, and signs off at its end.

The times are the database's: a host whose clock is wrong would look dead to the others.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from threading import Event as Flag
from types import MappingProxyType

from django.db import DatabaseError, InterfaceError
from django.db.models import Q
from django.db.models.functions import Now

from messaging.transient import drop_connections
from messaging.workers.models import Heartbeat

BEAT_EVERY_S = 3.0
LOOK_EVERY_S = 0.2  # whether a role became active or standby, which is written at once
DEAD_AFTER = timedelta(seconds=12)  # a killed or frozen one
FORGOTTEN_AFTER = timedelta(hours=1)

Partitions = dict[str, list[int]]  # by projection

log = logging.getLogger("postlog.liveness")


class Heartbeats:
    """Beats for the roles of one process. `roles` says of each whether it is active now, `errors`,
    where it can tell, why it cannot work (empty if it can), and `partitions` which ones a role has
    of each projection."""

    def __init__(
        self,
        roles: Mapping[str, Callable[[], bool]],
        errors: Mapping[str, Callable[[], str]] = MappingProxyType({}),
        partitions: Mapping[str, Callable[[], Partitions]] = MappingProxyType({}),
    ) -> None:
        self._roles = roles
        self._errors = errors
        self._partitions = partitions
        self._process = f"{socket.gethostname()[:100]} {os.getpid()}"
        self._last: dict[str, bool] = {}

    def run(self, stop: Flag) -> None:
        """Returns when `stop` is set."""
        mine = Heartbeat.objects.filter(process=self._process)
        while not stop.is_set():
            try:
                self._beat()
            except (DatabaseError, InterfaceError) as error:
                log.debug("no heartbeat: %s", error)  # whoever needs the database says so loudly
                drop_connections()
            self._wait(stop)
        with suppress(DatabaseError, InterfaceError):  # then it is forgotten by its age
            mine.update(stopped_at=Now())

    def _wait(self, stop: Flag) -> None:
        next_beat = time.monotonic() + BEAT_EVERY_S
        while time.monotonic() < next_beat and not stop.wait(LOOK_EVERY_S):
            if any(is_active() is not self._last.get(r) for r, is_active in self._roles.items()):
                return

    def _beat(self) -> None:
        now = Now()
        for role, is_active in self._roles.items():
            active = is_active()
            changed = {"since": now} if self._last.get(role) is not active else {}
            error = self._errors[role]() if role in self._errors else ""
            has = self._partitions[role]() if role in self._partitions else {}
            beat = {
                "active": active, "beat_at": now, "error": error, "partitions": has,
                "stopped_at": None,
            }  # fmt: skip
            mine = Heartbeat.objects.filter(role=role, process=self._process)
            if not mine.update(**beat, **changed):  # one statement; update_or_create takes six
                mine.create(role=role, process=self._process, since=now, **beat)
            self._last[role] = active
        Heartbeat.objects.filter(beat_at__lt=now - FORGOTTEN_AFTER).delete()


def owner_role(projection: str) -> str:
    """The role of the consumer that owns a projection with `single_owner=True`, and of those that
    stand by for it."""
    return f"owner of {projection}"


def alive(role: str) -> list[Heartbeat]:
    """The workers of a role that have shown themselves lately, the active ones first."""
    young = Heartbeat.objects.filter(
        role=role, beat_at__gt=Now() - DEAD_AFTER, stopped_at__isnull=True
    )
    return list(young.order_by("-active", "since"))


def gone(*roles: str) -> list[Heartbeat]:
    """The workers of these roles that were alive within the last hour and are not now: stopped,
    killed or frozen. The last beat first."""
    known = Heartbeat.objects.filter(role__in=roles, beat_at__gt=Now() - FORGOTTEN_AFTER)
    dead = Q(beat_at__lte=Now() - DEAD_AFTER) | Q(stopped_at__isnull=False)
    return list(known.filter(dead).order_by("-beat_at"))


def missing_workers() -> list[str]:
    """The commands to start so that what is stored reaches its readers."""
    if not alive("consumer"):
        return ["manage.py runconsumer"]  # which stands by as a relay as well
    return [] if any(one.active for one in alive("relay")) else ["manage.py runrelay"]
