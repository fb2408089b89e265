"""System checks of messages: commands and queries are found, handled, offered, and open to
somebody; events of every version are read."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth import get_permission_codename
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.urls import get_resolver

from messaging import mediator
from messaging.checks import TAG
from messaging.codec.upcasting import gaps
from messaging.installed import missing_packages
from messaging.message import (
    COMMANDS,
    INTERNAL_COMMANDS,
    INTERNAL_QUERIES,
    QUERIES,
    who_may,
)

NEEDED_BY_THE_API = {
    "rest_framework": "has the templates of its pages",
    "django.contrib.auth": "says who sends a command",
}
IMPORTS = re.compile(r"^(from|import) messaging\b", re.M)
REGISTERS = re.compile(r"^@(command|query|event|upcaster|handles|answers|\w+\.on)\b", re.M)


@register(TAG)
def every_message_has_a_handler(**kwargs: Any) -> list[CheckMessage]:
    return [
        Error(
            f"Nothing handles {message.__name__}.",
            hint="Write a function with @handles (handlers.py) or @answers (queries.py), in an app "
            "that INSTALLED_APPS names.",
            obj=f"{message.__module__}.{message.__name__}",
            id="postlog.E001",
        )
        for message in mediator.unhandled()
    ]


@register()
def permissions_exist(**kwargs: Any) -> list[CheckMessage]:
    """Nobody but superusers holds a permission that is misspelled."""
    messages = {**COMMANDS, **INTERNAL_COMMANDS, **QUERIES, **INTERNAL_QUERIES}.values()
    return [
        Warning(
            f"{message.__name__} asks for the permission {who}, which no model and no migration "
            "has: nobody but superusers may.",
            hint='Name it in a model\'s Meta.permissions, such as [("refund_order", "Can refund an '
            'order")], or correct who=. If an authentication backend has it, silence this.',
            obj=f"{message.__module__}.{message.__name__}",
            id="postlog.W006",
        )
        for message in messages
        if isinstance(who := who_may(message), str) and not _is_permission(*who.split(".", 1))
    ]


@register()  # without TAG: a worker needs no REST framework
def the_api_can_offer_every_message(**kwargs: Any) -> list[CheckMessage]:
    if not apps.is_installed("rest_framework") or missing_packages():
        return []  # messaging.api.urls says what is missing, where it is used
    from messaging.api.serializers import fault_of

    known = set(mediator.unhandled())
    return [
        Error(
            f"The API cannot offer {message.__name__}: {fault}.",
            hint="Its fields are of str, int, float, bool, UUID, Decimal, date, datetime, time, "
            "timedelta, an Enum, a Literal or a dataclass, or lists and dicts of them. A query "
            "says what answers it, class FindOrder(Query[OrderView]): a dataclass, or a Page or "
            "list of one.",
            obj=f"{message.__module__}.{message.__name__}",
            id="postlog.E009",
        )
        for message in (*COMMANDS.values(), *QUERIES.values())
        if message not in known and (fault := fault_of(message).rstrip("."))
    ]


@register(Tags.urls)
def the_apps_of_the_api_are_there(**kwargs: Any) -> list[CheckMessage]:
    if not _serves_the_api():
        return []
    return [
        Error(
            f"The API is in your URLs, and INSTALLED_APPS does not name {app!r}, which {why}.",
            hint=f"Add the line {app!r} to INSTALLED_APPS.",
            id="postlog.E012",
        )
        for app, why in {**NEEDED_BY_THE_API, **_needed_to_sign_in()}.items()
        if not apps.is_installed(app)
    ]


@register(TAG)
def old_events_are_read_as_the_newest(**kwargs: Any) -> list[CheckMessage]:
    """What handles the newest version alone would pass over the others in silence."""
    hint = "Give each older version an @upcaster to the next, and only the newest a class."
    return [
        Warning(f"{name} is not read as its newest version: {why}.", hint=hint, id="postlog.W015")
        if is_read
        else Error(f"Stored events of {name} cannot be read: {why}.", hint=hint, id="postlog.E015")
        for name, why, is_read in gaps()
    ]


@register()
def handlers_are_found(**kwargs: Any) -> list[CheckMessage]:
    """What no handlers.py, projections.py or queries.py imports is never registered."""
    return [
        Warning(
            f"{module} registers messages or handlers, and nothing imports it.",
            hint="Name it handlers.py, projections.py or queries.py, or import it from one.",
            obj=module,
            id="postlog.W004",
        )
        for app in apps.get_app_configs()
        if _is_of_the_project(app)
        for module in _registering(app.name, Path(app.path))
        if module not in sys.modules
    ]


@register()
def apps_are_installed(**kwargs: Any) -> list[CheckMessage]:
    """A new app that nobody has named yet: its own tests pass, and nothing else finds it."""
    return [
        Warning(
            f"{name} registers messages or handlers, and INSTALLED_APPS does not name it.",
            hint=f"Add the line {name!r} to INSTALLED_APPS.",
            id="postlog.W007",
        )
        for name, path in _apps_beside()
        if any(_registering(name, path))
    ]


def _needed_to_sign_in() -> dict[str, str]:
    """By the project's own settings. REST framework finds out when somebody sends a token."""
    from rest_framework.authentication import TokenAuthentication
    from rest_framework.settings import api_settings

    classes: Any = api_settings.DEFAULT_AUTHENTICATION_CLASSES
    for one in classes:
        if issubclass(one, TokenAuthentication) and one.model is None:
            return {"rest_framework.authtoken": f"has the tokens of {one.__name__}"}
    return {}


def _serves_the_api() -> bool:
    if getattr(settings, "ROOT_URLCONF", None):
        get_resolver().url_patterns  # noqa: B018  loads them
    return apps.is_installed("messaging.api") or "messaging.api.routes" in sys.modules


def _apps_beside() -> Iterator[tuple[str, Path]]:
    """The apps in the folders of the project and of its apps that are not installed."""
    own = [app for app in apps.get_app_configs() if _is_of_the_project(app)]
    places = {Path(app.path).parent: app.name.rpartition(".")[0] for app in own}
    if base := getattr(settings, "BASE_DIR", None):
        places.setdefault(Path(base), "")
    installed = {Path(app.path) for app in apps.get_app_configs()}
    for place, package in places.items():
        for file in sorted(place.glob("*/apps.py")):
            if file.parent not in installed:
                yield f"{package}.{file.parent.name}".lstrip("."), file.parent


def _is_of_the_project(app: AppConfig) -> bool:
    return "site-packages" not in app.path and app.name != "messaging"


def _is_permission(app_label: str, codename: str) -> bool:
    if app_label not in apps.app_configs:
        return False
    app = apps.get_app_config(app_label)
    for model in app.get_models():
        options = model._meta
        builtin = {get_permission_codename(one, options) for one in options.default_permissions}
        if codename in builtin or codename in dict(options.permissions):
            return True
    in_quotes = re.compile(rf"[\"']{re.escape(codename)}[\"']")
    files = Path(app.path, "migrations").glob("*.py")  # one may make it by hand
    return any(in_quotes.search(file.read_text(encoding="utf-8")) for file in files)


def _registering(name: str, path: Path) -> Iterator[str]:
    """The modules of an app whose source registers something with messaging. Tests apart."""
    for file in path.rglob("*.py"):
        inside = file.relative_to(path)
        if not any(part.startswith("test") for part in inside.parts):
            text = file.read_text(encoding="utf-8", errors="replace")
            if IMPORTS.search(text) and REGISTERS.search(text):
                parts = [part for part in inside.with_suffix("").parts if part != "__init__"]
                yield ".".join([name, *parts])
