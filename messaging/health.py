"""Is this process alive, and can it serve?"""

from django.conf import settings
from django.db import Error, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from messaging.bus import current_bus
from messaging.eventstore import outbox
from messaging.exceptions import BusError, Loss
from messaging.liveness import alive
from messaging.overview import projection_now
from messaging.projections.registry import PROJECTIONS
from messaging.projections.rowstore import DATABASE as READ
from messaging.transient import write_fault


def live(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> HttpResponse:
    """The databases are migrated, the bus answers, a relay leads, and the read side is not far
    behind; 503 names what is not so."""
    failing = {f"database {alias}": _database_fault(alias) for alias in connections}
    failing["bus"] = _bus_fault()
    if not any(failing.values()):
        failing["relay"] = _relay_fault()
        failing["lag"] = _lag_fault()
    failing = {name: fault for name, fault in failing.items() if fault}
    status = "unavailable" if failing else "ok"
    return JsonResponse({"status": status, "failing": failing}, status=503 if failing else 200)


def _database_fault(alias: str) -> str:
    try:
        executor = MigrationExecutor(connections[alias])
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        # A web process may read from a replica; commands need the primary.
        fault = write_fault(alias, replica_will_do=alias == READ)
    except Error as error:
        return type(error).__name__
    if plan:
        return f"{len(plan)} migrations to apply: manage.py migrate"
    return fault


def _bus_fault() -> str:
    try:
        current_bus().identity()
    except (BusError, Loss) as error:
        return type(error).__name__
    return ""


def _relay_fault() -> str:
    if any(one.at_work for one in alive("relay")):
        return ""
    return "none leads: start manage.py runconsumer, or manage.py runrelay"


def _lag_fault() -> str:
    """Events that are stored and not shown yet, of the projection that is furthest behind."""
    ends = current_bus().end_offsets()
    lag = outbox.waiting() + max(projection_now(name, ends)["lag"] for name in PROJECTIONS)
    if lag <= settings.MOST_LAG:
        return ""
    return f"{lag:,} events, more than {settings.MOST_LAG:,}: manage.py status"
