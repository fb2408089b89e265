"""What the commands share: one line, not a traceback, for what tells an operator what to do."""

import logging
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError

from messaging.checks import TAG
from messaging.exceptions import PostlogError
from messaging.transient import described


def say_what_is_done() -> None:
    """Log to standard error, unless the project's LOGGING says where to: else nobody hears of a
    worker that it stands by, and for which lock."""
    log = logging.getLogger("postlog")
    if log.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("{asctime} {message}", style="{"))
    log.addHandler(handler)
    if log.level == logging.NOTSET:
        log.setLevel(logging.INFO)


class DatabaseCommand(BaseCommand):
    # Django's others load all URLs and what serves them, a third of the time to start.
    requires_system_checks = [TAG]

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except (PostlogError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(described(error)) from error
