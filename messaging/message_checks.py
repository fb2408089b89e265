"""System checks of messages: commands and queries are found, handled, offered, and open to
somebody; events of every version are read."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.contrib.auth import get_permission_codename
from django.core.checks import CheckMessage, Error, Warning, register

from messaging import mediator
from messaging.checks import TAG
from messaging.codec.upcasting import gaps
from messaging.message import (
    COMMANDS,
    INTERNAL_COMMANDS,
    INTERNAL_QUERIES,
    QUERIES,
    who_may,
)

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
    if not apps.is_installed("rest_framework"):
        return []
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
        if "site-packages" not in app.path and app.name != "messaging"
        for module in _registering(app)
        if module not in sys.modules
    ]


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


def _registering(app: AppConfig) -> Iterator[str]:
    """The modules of an app whose source registers something with messaging. Tests apart."""
    for file in Path(app.path).rglob("*.py"):
        inside = file.relative_to(app.path)
        if not any(part.startswith("test") for part in inside.parts):
            text = file.read_text(encoding="utf-8", errors="replace")
            if IMPORTS.search(text) and REGISTERS.search(text):
                parts = [part for part in inside.with_suffix("").parts if part != "__init__"]
                yield ".".join([app.name, *parts])
