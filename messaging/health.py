"""Is this process alive, and can it serve?"""

from django.db import DatabaseError, connections
from django.http import HttpRequest, HttpResponse, JsonResponse

from messaging.bus import current_bus
from messaging.exceptions import BusError, Loss


def live(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> HttpResponse:
    """The databases and the bus answer; 503 names those that do not."""
    failing = {}
    for alias in connections:
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT 1")
        except DatabaseError as error:
            failing[f"database {alias}"] = type(error).__name__
    try:
        current_bus().identity()
    except (BusError, Loss) as error:
        failing["bus"] = type(error).__name__
    status = "unavailable" if failing else "ok"
    return JsonResponse({"status": status, "failing": failing}, status=503 if failing else 200)
