"""`manage.py runconsumer`"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.management.base import CommandError, CommandParser

from messaging.bus import current_bus
from messaging.bus.hazards import watch_hazards
from messaging.bus.shared import FetchBuffer
from messaging.dialect import sessions
from messaging.management.base import DatabaseCommand, say_what_is_done
from messaging.monitoring.sampling import Sampler
from messaging.monitoring.stall_watch import StallWatch
from messaging.monitoring.until_level import UntilLevel
from messaging.projections.consuming.consumer import Consumer, last_errors
from messaging.projections.registry import PROJECTIONS, consumed
from messaging.rebuilding.worker import RebuildWorker
from messaging.relay.relay import Relay
from messaging.workers import cleaning
from messaging.workers.heartbeats import Heartbeats, owner_role
from messaging.workers.threads import Work, run_until_stopped


class Command(DatabaseCommand):
    help = (
        "Feed the read models from the log, and stand by as relay. Several may run: they share "
        "the partitions. SIGTERM and Ctrl-C finish the batch and exit 0, with --once 1 if it was "
        "not level by then."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--no-relay", action="store_true", help="Leave relaying to `manage.py runrelay`."
        )
        parser.add_argument(
            "--once",
            action="store_true",
            help="Publish what waits in the outbox, apply what the log holds then, and exit.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        buffer = FetchBuffer()
        consumers = [Consumer(projection, current_bus(), buffer) for projection in consumed()]
        for one in PROJECTIONS.values():
            if one.inline:
                self.stderr.write(f"{one.name} is left out: it is inline, commands write its rows.")
        parts: dict[str, Work] = {f"projection {one.name}": one.run for one in consumers}
        roles: dict[str, Callable[[], bool]] = {"consumer": lambda: True}
        for consumer in consumers:
            if PROJECTIONS[consumer.name].single_owner:
                roles[owner_role(consumer.name)] = consumer.is_active
        if not options["no_relay"]:
            relay = Relay(current_bus())
            parts["relay"], roles["relay"] = relay.run, relay.is_active
        errors = {"consumer": lambda: last_errors(consumers)}
        partitions = {"consumer": lambda: {one.name: one.partitions() for one in consumers}}
        parts["heartbeat"] = Heartbeats(roles, errors, partitions).run
        level = UntilLevel(current_bus(), after_the_outbox=not options["no_relay"])
        if options["once"]:
            parts["until level"] = level.run
        else:
            say_what_is_done()
            parts["stalls"] = StallWatch().run
            parts["rebuilds"] = RebuildWorker(current_bus()).run
            parts["cleaning"] = cleaning.run
            parts["samples"] = Sampler().run
            parts["hazards"] = partial(watch_hazards, current_bus())
        sessions.require_that_they_last()
        run_until_stopped(parts, code_if_cut_short=1 if options["once"] else 0)
        if options["once"] and not level.is_level:
            raise CommandError("Stopped before the read models were level with the log.")
