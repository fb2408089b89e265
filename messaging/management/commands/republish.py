"""`manage.py republish STREAM_ID... | --all [--accept-new-log]`"""

from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from messaging.bus import current_bus
from messaging.management.base import DatabaseCommand
from messaging.monitoring.audit import record_from_shell
from messaging.recovery import republish


class Command(DatabaseCommand):
    help = (
        "Put whole streams, or everything, back into the outbox, so that the relay publishes "
        "them again. Consumers drop what they have. Commands may be sent meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("stream_id", type=UUID, nargs="*")
        parser.add_argument("--all", action="store_true", help="Every event of the store.")
        parser.add_argument(
            "--accept-new-log",
            action="store_true",
            help="With --all: the topic was recreated, or is on another cluster, and the relay "
            "is to continue with it as it is now. It is made if it is not there.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stream_ids, everything = options["stream_id"], options["all"]
        if bool(stream_ids) == everything:
            raise CommandError("Name streams by their ids, or say --all.", returncode=2)
        if options["accept_new_log"] and not everything:
            raise CommandError("A new log needs everything: say --all as well.", returncode=2)
        record_from_shell("republish", "all" if everything else " ".join(map(str, stream_ids)))
        if options["accept_new_log"]:
            self.stdout.write(f"The log is {republish.accept(current_bus())} from now on.")
        count = republish.republish_all() if everything else republish.republish(stream_ids)
        self.stdout.write(f"{count:,} events wait in the outbox for a relay.")
