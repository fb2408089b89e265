"""Is this process alive, and can it serve?

`ready` answers from a look that this process takes in the background every few seconds. A
request that asked the broker itself would wait as long as the broker hangs, and a probe a
second would then hold every thread of the server.
"""

import logging
import time
from collections.abc import Callable
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from messaging import conf
from messaging.bus import current_bus
from messaging.conf import read_alias
from messaging.monitoring.status import needs_workers, projection_status
from messaging.projections.registry import consumed
from messaging.relay import outbox
from messaging.router import apps_in
from messaging.transient import write_fault
from messaging.workers.heartbeats import alive

LOOK_EVERY_S = 5.0
TOO_OLD_S = 15.0
FRESH_S = 1  # so long may whoever stands in front give the same answer again
FIRST_LOOK_S = 2.0  # the one request that begins the looking waits so long for a result

View = Callable[[HttpRequest], HttpResponse]

log = logging.getLogger("postlog.health")


def live(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> HttpResponse:
    """The databases are migrated, the bus answers, a relay leads, and the read side is not far
    behind and moves; 503 names what is not so."""
    failing = _looking.failing()
    status = "unavailable" if failing else "ok"
    answer = JsonResponse({"status": status, "failing": failing}, status=503 if failing else 200)
    answer["Cache-Control"] = f"max-age={FRESH_S}"
    return answer


ADDRESSES = {"/health/live": live, "/health/ready": ready}


def probes(get_response: View) -> View:
    """Middleware, the first of all: answers the probes of a cluster, which come over plain HTTP,
    to the address of a pod. Elsewhere they would be redirected to HTTPS, or be of a wrong Host."""

    def middleware(request: HttpRequest) -> HttpResponse:
        answer = ADDRESSES.get(request.path_info) if request.method in ("GET", "HEAD") else None
        return (answer or get_response)(request)

    return middleware


class Look(NamedTuple):
    ended: float  # monotonic
    failing: dict[str, str]


class Looker(Thread):
    """Looks until it is stopped; ends with the process."""

    def __init__(self) -> None:
        super().__init__(name="readiness", daemon=True)
        self.stopping = Flag()
        self.has_looked = Flag()
        self.last: Look | None = None
        self.asking = "start"  # the part that is being asked
        self._migrated: set[str] = set()  # to read all migrations each time would be expensive

    def run(self) -> None:
        while not self.stopping.is_set():
            failing = self._failing()
            if failing != (self.last.failing if self.last else {}):
                log.warning("not ready: %s", failing) if failing else log.info("ready again")
            self.last = Look(time.monotonic(), failing)
            self.has_looked.set()
            connections.close_all()  # those of the next look find the primary of then
            self.stopping.wait(LOOK_EVERY_S)

    def _failing(self) -> dict[str, str]:
        faults = {
            f"database {alias}": self._ask(f"database {alias}", self._database_fault, alias)
            for alias in dict.fromkeys((DEFAULT_DB_ALIAS, *conf.aliases()))
        }
        if needs_workers():
            faults["bus"] = self._ask("bus", _bus_fault)
        if needs_workers() and not any(faults.values()):
            faults["relay"] = self._ask("relay", _relay_fault)
            faults["lag"] = self._ask("lag", _lag_fault)
        return {name: fault for name, fault in faults.items() if fault}

    def _ask(self, part: str, fault: Callable[..., str], *args: Any) -> str:
        self.asking = part
        try:
            return fault(*args)
        except Exception as error:  # whatever it is, this process cannot serve
            self._migrated.clear()
            return type(error).__name__

    def _database_fault(self, alias: str) -> str:
        if alias not in self._migrated:
            executor = MigrationExecutor(connections[alias])
            apps = apps_in(alias)
            leaves = executor.loader.graph.leaf_nodes()
            plan = executor.migration_plan(
                [leaf for leaf in leaves if apps is None or leaf[0] in apps]
            )
            if plan:
                return f"{len(plan)} migrations to apply: manage.py migrate"
            self._migrated.add(alias)
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
        # A web process may read from a replica; commands need the primary.
        return write_fault(alias, replica_will_do=alias == read_alias())


class Looking:
    """The looker of this process, started by the first request: one of before a fork is dead."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._looker: Looker | None = None

    def failing(self) -> dict[str, str]:
        looker = self._running()
        last = looker.last
        if last is None:
            return {"look": f"none has ended yet: waiting for {looker.asking}"}
        age = time.monotonic() - last.ended
        if age > TOO_OLD_S:
            return {"look": f"the last one ended {age:.0f} s ago: waiting for {looker.asking}"}
        return last.failing

    def _running(self) -> Looker:
        with self._lock:
            looker = self._looker
            if looker is not None and looker.is_alive():
                return looker
            looker = self._looker = Looker()
            looker.start()
        looker.has_looked.wait(FIRST_LOOK_S)
        return looker


_looking = Looking()


def _bus_fault() -> str:
    current_bus().identity()
    return ""


def _relay_fault() -> str:
    if any(one.active for one in alive("relay")):
        return ""
    return "none leads: start manage.py runconsumer, or manage.py runrelay"


def _lag_fault() -> str:
    """Events that are stored and not shown yet, of the projection that is furthest behind; or
    partitions that nobody reads."""
    bus = current_bus()
    ends, identity = bus.end_offsets(), bus.identity()
    projections = [projection_status(one.name, ends, identity) for one in consumed()]
    stalled = {one.name: sorted(one.stalled) for one in projections if one.stalled}
    if stalled:
        what = "; ".join(f"{name}: partitions {parts}" for name, parts in stalled.items())
        return f"stalled, no consumer takes the records of {what}: manage.py status"
    lag = outbox.waiting() + max(
        (sum(one.lag_by_partition.values()) for one in projections), default=0
    )
    limit = conf.postlog().max_lag
    return "" if lag <= limit else f"{lag:,} events, more than {limit:,}: manage.py status"
