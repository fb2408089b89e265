"""System checks: what would lose events or fail at the first request is said at start."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from messaging import mediator
from messaging.eventstore.triggers import missing_triggers


@register()
def every_message_has_a_handler(**kwargs: Any) -> list[CheckMessage]:
    return [
        Error(
            f"Nothing handles {message.__name__}.",
            hint="Write a function with @handles (handlers.py) or @answers (queries.py).",
            obj=f"{message.__module__}.{message.__name__}",
            id="postlog.E001",
        )
        for message in mediator.unhandled()
    ]


@register()
def databases_are_two(**kwargs: Any) -> list[CheckMessage]:
    names = [
        tuple(settings.DATABASES[alias].get(key) for key in ("ENGINE", "HOST", "PORT", "NAME"))
        for alias in ("default", "read")
    ]
    if names[0] != names[1]:
        return []
    return [
        Error(
            "WRITE_DATABASE_URL and READ_DATABASE_URL name one database.",
            hint="Give the read side a database of its own; the same server will do.",
            id="postlog.E002",
        )
    ]


@register()
def settings_are_right(**kwargs: Any) -> list[CheckMessage]:
    return [
        Error(f"{problem.setting}: {problem.message}", hint=problem.hint, id="postlog.E004")
        for problem in settings.SETTING_PROBLEMS
    ]


@register(Tags.database)
def event_store_is_append_only(databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """SQLite drops triggers in silence when a migration remakes the table."""
    if "default" not in (databases or ()):
        return []
    return [
        Error(
            f"The event store's trigger {name} is missing: events could be changed.",
            hint="Run `manage.py migrate eventstore 0001` on an empty store, or make the trigger "
            "anew as messaging/eventstore/triggers.py has it.",
            id="postlog.E003",
        )
        for name in missing_triggers(connections["default"])
    ]
