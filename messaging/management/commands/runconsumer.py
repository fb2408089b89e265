"""`manage.py runconsumer`"""

from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from messaging.bus import current_bus
from messaging.bus.hazards import HazardWatch
from messaging.dialect import sessions
from messaging.exceptions import Pooled, WorkerFailed
from messaging.management.base import DatabaseCommand
from messaging.monitoring.stall_watch import StallWatch
from messaging.projections.consuming.consumer import Consumer, last_errors
from messaging.projections.registry import PROJECTIONS
from messaging.rebuilding.rebuilder import Rebuilder
from messaging.relay.relay import Relay
from messaging.workers import cleaning
from messaging.workers.heartbeats import Heart
from messaging.workers.threads import Work, run_until_stopped


class Command(DatabaseCommand):
    help = (
        "Feed the read models from the log, and stand by as relay. Several may run: they share "
        "the partitions. SIGTERM and Ctrl-C finish the batch and exit 0."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--no-relay", action="store_true", help="Leave relaying to `manage.py runrelay`."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        consumers = [Consumer(projection, current_bus()) for projection in PROJECTIONS.values()]
        parts: dict[str, Work] = {f"projection {one.name}": one.run for one in consumers}
        parts["stalls"] = StallWatch().run
        parts["rebuilds"] = Rebuilder(current_bus()).run
        roles: dict[str, Callable[[], bool]] = {"consumer": lambda: True}
        if not options["no_relay"]:
            relay = Relay(current_bus())
            parts["relay"], roles["relay"] = relay.run, relay.is_at_work
        errors = {"consumer": lambda: last_errors(consumers)}
        parts["heartbeat"] = Heart(roles, errors).run
        parts["cleaning"] = cleaning.run
        parts["hazards"] = HazardWatch(current_bus()).run
        try:
            sessions.require_that_they_last()
            run_until_stopped(parts)
        except (Pooled, WorkerFailed) as error:
            raise CommandError(str(error)) from error
