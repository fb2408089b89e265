"""`manage.py runrelay`"""

from functools import partial
from typing import Any

from messaging.bus import current_bus
from messaging.bus.hazards import watch_hazards
from messaging.dialect import sessions
from messaging.management.base import DatabaseCommand, say_what_is_done
from messaging.monitoring.sampling import Sampler
from messaging.relay.relay import Relay
from messaging.workers.heartbeats import Heartbeats
from messaging.workers.threads import run_until_stopped


class Command(DatabaseCommand):
    help = (
        "Publish the events that wait in the outbox to the log, in order. Several may run: one "
        "works, the others stand by. SIGTERM and Ctrl-C finish the batch and exit 0."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        say_what_is_done()
        sessions.require_that_they_last()
        relay = Relay(current_bus())
        run_until_stopped(
            {
                "relay": relay.run,
                "heartbeat": Heartbeats({"relay": relay.is_active}).run,
                "samples": Sampler().run,
                "hazards": partial(watch_hazards, current_bus()),
            }
        )
