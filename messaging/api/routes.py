"""The URLs of the API, made from the registry once the apps are loaded."""

import re
from typing import Any

from django.urls import URLPattern, path

from messaging import mediator
from messaging.api.operations import RebuildView, RestoreReadDbView
from messaging.api.views import RootView, command_view, query_view
from messaging.message import COMMANDS, QUERIES


def kebab(name: str) -> str:
    """`PlaceOrder` -> `place-order`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def routes() -> list[URLPattern]:
    """The list of all at "", `commands/<name>/` and `queries/<name>/`."""
    unhandled = mediator.unhandled()  # manage.py check says so: postlog.E001
    commands = {kebab(name): cls for name, cls in COMMANDS.items() if cls not in unhandled}
    queries = {kebab(name): cls for name, cls in QUERIES.items() if cls not in unhandled}
    names = {"commands": [*commands, "restore-read-db"], "queries": list(queries)}
    root: type[Any] = type("Postlog", (RootView,), {"names": names, "__doc__": RootView.__doc__})
    return [
        path("", root.as_view(), name="api-root"),
        *(
            path(f"commands/{name}/", command_view(cls).as_view(), name=f"commands-{name}")
            for name, cls in commands.items()
        ),
        *(
            path(f"queries/{name}/", query_view(cls).as_view(), name=f"queries-{name}")
            for name, cls in queries.items()
        ),
        path(
            "commands/restore-read-db/",
            RestoreReadDbView.as_view(),
            name="commands-restore-read-db",
        ),
        path("rebuilds/<int:pk>/", RebuildView.as_view(), name="rebuild"),
    ]
