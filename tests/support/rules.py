"""A command, a query and a form for each rule that says who may, at addresses of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, make_dataclass
from typing import Any

from django.contrib.auth.models import Permission
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from accounts.models import User
from commands_app import handlers
from commands_app import web as forms
from commands_app.commands import NewPost
from config.urls import urlpatterns as of_the_site
from messaging import mediator
from messaging.access import Asker, Who, anyone, signed_in, staff
from messaging.api.views import command_view, query_view
from messaging.eventstore.unit_of_work import Appended, UnitOfWork
from messaging.message import COMMANDS, INTERNAL_COMMANDS, QUERIES, Query, command, query
from queries_app.projections import posts
from tests.support.api import person
from web.pages import page

PERMISSION = "queries_app.view_removed_text"


def is_alice(asker: Asker) -> bool:
    """Alice.

    What follows the first line is for programmers.
    """
    return asker.get_username() == "alice"


RULES: dict[str, Who] = {
    "Anyone": anyone,
    "SignedIn": signed_in,
    "Staff": staff,
    "Permitted": PERMISSION,
    "Alice": is_alice,
}
SENTENCES = {
    "Anyone": "Anyone.",
    "SignedIn": "Whoever is signed in.",
    "Staff": "Staff.",
    "Permitted": f"Whoever has the permission {PERMISSION}.",
    "Alice": "Alice.",
}
# Who asks -> the rules that let them; everybody else gets 403, nobody 401.
MAY: dict[str, set[str]] = {
    "nobody": {"Anyone"},
    "bob": {"Anyone", "SignedIn"},
    "clerk": {"Anyone", "SignedIn", "Staff"},
    "editor": {"Anyone", "SignedIn", "Permitted"},
    "alice": {"Anyone", "SignedIn", "Alice"},
    "root": {"Anyone", "SignedIn", "Staff", "Permitted"},
}


def status(who: str, rule: str, allowed: int) -> int:
    """What an entrance answers."""
    if rule in MAY[who]:
        return allowed
    return 401 if who == "nobody" else 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    name: str


def write(sent: Any, uow: UnitOfWork) -> Appended:
    return handlers.new_post(NewPost(message=sent.message), uow)


def answer(asked: Any, asker: Asker) -> Asked:
    return Asked(name=asker.get_username())


def _command(name: str, **rule: Any) -> type:
    cls = make_dataclass(name, [("message", str)], frozen=True, slots=True, kw_only=True)
    cls.__doc__ = "Write something."
    command(**rule)(cls)
    mediator.handles(cls, creates=True)(write)
    return cls


NOTE = [("note", str, field(default=""))]


def _query(name: str, who: Who) -> type:
    cls = make_dataclass(name, NOTE, bases=(Query,), frozen=True, slots=True, kw_only=True)
    cls.__doc__ = "Say who asks."
    query(who=who)(cls)
    mediator.answers(cls, posts)(answer)
    return cls


WRITES = {rule: _command(f"WriteBy{rule}", who=who) for rule, who in RULES.items()}
ASKS = {rule: _query(f"AskedBy{rule}", who) for rule, who in RULES.items()}
INTERNAL = _command("WriteInside", internal=True)
# Only while a test asks for them; for all others they are not there.
for cls in (*WRITES.values(), *ASKS.values(), INTERNAL):
    for registry in (COMMANDS, INTERNAL_COMMANDS, QUERIES):
        registry.pop(cls.__name__, None)


@page
def form(request: HttpRequest, rule: str) -> HttpResponse:
    """A form that looks at nobody, as a new one might."""
    forms.send(request, WRITES[rule](message=request.POST["text"]))
    return HttpResponse()


urlpatterns = [
    *(path(f"write/{rule}/", command_view(cls).as_view()) for rule, cls in WRITES.items()),
    *(path(f"ask/{rule}/", query_view(cls).as_view()) for rule, cls in ASKS.items()),
    path("form/<str:rule>/", form),
    *of_the_site,
]


@contextmanager
def rules() -> Iterator[None]:
    """The addresses, and what `sendcommands` knows."""
    before = dict(COMMANDS)
    COMMANDS.update({cls.__name__: cls for cls in WRITES.values()})
    INTERNAL_COMMANDS[INTERNAL.__name__] = INTERNAL
    try:
        with override_settings(ROOT_URLCONF="tests.support.rules"):
            yield
    finally:
        del INTERNAL_COMMANDS[INTERNAL.__name__]
        for name in COMMANDS.keys() - before.keys():
            del COMMANDS[name]


def make_people() -> None:
    for name in MAY.keys() - {"nobody"}:
        person(name)
    User.objects.filter(username__in=["clerk", "root"]).update(is_staff=True)
    User.objects.filter(username="root").update(is_superuser=True)
    app, _, codename = PERMISSION.partition(".")
    permission = Permission.objects.get(content_type__app_label=app, codename=codename)
    User.objects.get(username="editor").user_permissions.add(permission)
