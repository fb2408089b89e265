"""`manage.py reject-record PARTITION OFFSET EVENT_ID`"""

from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from messaging.bus import current_bus
from messaging.management.base import DatabaseCommand
from messaging.monitoring.audit import record_from_shell
from messaging.recovery import reject_record


class Command(DatabaseCommand):
    help = (
        "Declare one record of the log invalid, because no relay of yours wrote it. Relays, "
        "consumers, rebuilds, verify and restore-events then pass over it. The error messages name "
        "the three arguments."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("partition", type=int)
        parser.add_argument("offset", type=int)
        parser.add_argument("event_id", type=UUID, help="The event that the record holds.")

    def handle(self, *args: Any, **options: Any) -> None:
        place = options["partition"], options["offset"], options["event_id"]
        record, envelope = reject_record.found(current_bus(), *place)
        record_from_shell("reject-record", "partition {} offset {} event {}".format(*place))
        reject_record.reject(record, envelope)
        self.stdout.write(
            f"Rejected: version {envelope.version} of stream {envelope.stream_id}. Start the "
            "workers again. Where `manage.py verify` says that a read model shows it, run "
            "`manage.py rebuild --from store --accept-going-back`."
        )
