"""Is this process alive, and can it serve?"""

from django.db import Error, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from messaging.bus import current_bus
from messaging.exceptions import BusError, Loss


def live(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> HttpResponse:
    """The databases are migrated and the bus answers; 503 names what is not so."""
    failing = {f"database {alias}": _database_fault(alias) for alias in connections}
    failing["bus"] = _bus_fault()
    failing = {name: fault for name, fault in failing.items() if fault}
    status = "unavailable" if failing else "ok"
    return JsonResponse({"status": status, "failing": failing}, status=503 if failing else 200)


def _database_fault(alias: str) -> str:
    try:
        executor = MigrationExecutor(connections[alias])
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error as error:
        return type(error).__name__
    return f"{len(plan)} migrations to apply: manage.py migrate" if plan else ""


def _bus_fault() -> str:
    try:
        current_bus().identity()
    except (BusError, Loss) as error:
        return type(error).__name__
    return ""
