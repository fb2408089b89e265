"""`manage.py trace EVENT_ID|COMMAND_ID`"""

from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from messaging.eventstore.models import Event, Receipt
from messaging.management.base import DatabaseCommand
from messaging.monitoring import finding, timeline, trace
from messaging.monitoring.trace import Step


class Command(DatabaseCommand):
    help = (
        "Follow a command to its events and to the rows that they changed, as the console does. "
        "Lines of the log name events and commands by these ids."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "id", type=UUID, metavar="EVENT_ID|COMMAND_ID", help="Of an event or of a command."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        event = finding.find_event(options["id"], everywhere=True)
        if event is None:
            self._show_receipts(options["id"])
            return
        found = trace.trace_of(event)
        self.stdout.write(f"command {event.command_id}, sent by {event.actor}")
        if found.receipt is not None:
            self._show_receipt(found.receipt)
        self.stdout.write(f"the way of event {event.event_id}")
        for line in timeline.in_text(found.marks):
            self.stdout.write(f"  {line}")
        self.stdout.write(f"events of correlation {event.correlation_id}")
        for one, waiting in found.events:
            self._show_event(one, waiting)
        for last, steps in found.streams:
            self.stdout.write(f"stream {last.stream_id}, {last.stream_type}")
            for step in steps:
                self._show_step(step)

    def _show_receipts(self, command_id: UUID) -> None:
        """A command that was refused, or changed nothing, has no event."""
        receipts = finding.receipts_of(command_id)
        if not receipts:
            raise CommandError(
                f"{command_id} is the id of no event, and of no command that has an event or a "
                "receipt. A command that was refused has a receipt only if its sender chose its "
                "id, and only until that is forgotten."
            )
        for receipt in receipts:
            self.stdout.write(f"command {command_id}, sent by {receipt.actor}: no events")
            self._show_receipt(receipt)

    def _show_receipt(self, receipt: Receipt) -> None:
        self.stdout.write(f"  {receipt.created_at:%Y-%m-%d %H:%M:%S} answered {receipt.outcome}")

    def _show_event(self, event: Event, waiting: bool) -> None:
        self.stdout.write(
            f"  {event.position}  {event.recorded_at:%Y-%m-%d %H:%M:%S.%f}  {event.type}  "
            f"event {event.event_id}, version {event.version} of stream {event.stream_id}: "
            f"{'waits in the outbox' if waiting else 'published'}"
        )

    def _show_step(self, step: Step) -> None:
        self.stdout.write(f"  {step.projection}: {step.state}")
        for table in step.tables:
            for row in table.rows:
                values = [f"{c}={v!s:.100}" for c, v in zip(table.columns, row, strict=True)]
                self.stdout.write(ascii(f"    {table.model}: {', '.join(values)}")[1:-1])
