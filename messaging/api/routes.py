"""The URLs of the API, made from the registry once the apps are loaded."""

from typing import Any

from django.db import transaction
from django.urls import URLPattern, path
from rest_framework.views import APIView

from messaging import conf, mediator
from messaging.api.openapi import kebab
from messaging.api.operations import RebuildView, RestoreReadDbView
from messaging.api.root import ErrorCodesView, RootView
from messaging.api.serializers import fault_of
from messaging.api.short_way import offer
from messaging.api.views import command_view, query_view
from messaging.message import COMMANDS, QUERIES


def _offered(messages: dict[str, type]) -> dict[str, type]:
    """Without those that `manage.py check` reports: postlog.E001, E009."""
    unhandled = mediator.unhandled()
    return {
        kebab(name): cls
        for name, cls in messages.items()
        if cls not in unhandled and not fault_of(cls)
    }


def routes() -> list[URLPattern]:
    """The list of all at "", `commands/<name>/` and `queries/<name>/`."""
    commands, queries = _offered(COMMANDS), _offered(QUERIES)
    offered = {"commands": commands, "queries": queries, "__doc__": RootView.__doc__}
    root: type[Any] = type("Postlog", (RootView,), offered)
    return [
        path("", root.as_view(), name="api-root"),
        *(
            path(f"commands/{name}/", _view(command_view(cls)), name=f"commands-{name}")
            for name, cls in commands.items()
        ),
        *(
            path(f"queries/{name}/", _view(query_view(cls)), name=f"queries-{name}")
            for name, cls in queries.items()
        ),
        path(
            "commands/restore-read-db/",
            _view(RestoreReadDbView),
            name="commands-restore-read-db",
        ),
        path("rebuilds/<int:pk>/", RebuildView.as_view(), name="rebuild"),
        path("errors/", ErrorCodesView.as_view(), name="errors"),
    ]


def _view(cls: type[APIView]) -> Any:
    """Outside of ATOMIC_REQUESTS: a command has a transaction of its own, and what a query waits
    for becomes visible in none that was begun before."""
    view = cls.as_view()
    for alias in conf.aliases():
        view = transaction.non_atomic_requests(using=alias)(view)
    return offer(view, cls)
