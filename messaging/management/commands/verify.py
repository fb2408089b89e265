"""`manage.py verify`"""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connections

from messaging import plausible
from messaging.bus import current_bus
from messaging.bus.signing import key_ring
from messaging.conf import write_alias
from messaging.eventstore.models import LogIdentity, RejectedRecord
from messaging.management.base import DatabaseCommand
from messaging.monitoring.progress import Reports
from messaging.projections.registry import PROJECTIONS
from messaging.recovery.forgeries import forgeries, unknown_keys
from messaging.recovery.log_index import LogIndex
from messaging.recovery.verify_log import (
    StoreAgainstLog,
    all_streams,
    events_by_stream,
    require_same_identity,
)
from messaging.recovery.verify_read_models import ReadModelsAgainstStore
from messaging.recovery.verify_totals import TotalsAgainstStore

NO_DIFFERENCE = "No difference."


class Command(DatabaseCommand):
    help = (
        "Compare the event store, the log and the live read models, and print every difference, "
        "one a line. Nothing is changed, and commands may be sent meanwhile. 0: there is none."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--patience",
            type=float,
            default=10.0,
            metavar="SECONDS",
            help="How long what lags may make no headway before it is a difference (10).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        count = 0
        for difference in self._differences(options["patience"]):
            self.stdout.write(difference)
            count += 1
        if count:
            raise CommandError(f"{count:,} differences.")
        self.stdout.write(NO_DIFFERENCE)

    def _differences(self, patience_s: float) -> Iterator[str]:
        bus, reports = current_bus(), Reports(self.stderr.write)
        if not LogIdentity.objects.exists():
            bus.ensure_topic()  # no relay has ever been needed
        yield from require_same_identity(bus)
        begin, ends = bus.begin_offsets(), bus.end_offsets()
        for partition, offset in begin.items():
            if offset:
                yield f"partition {partition}: the log has lost the records before offset {offset}"
        rejected = RejectedRecord.all_of_them()
        latest = plausible.latest(connections[write_alias()])
        with LogIndex(len(ends), rejected=rejected, latest=latest, ring=key_ring()) as index:
            index.add(bus, begin, ends, reports.tell)
            self.stderr.write(f"{index.read:,} records of the log are read.")
            yield from index.malformed
            yield from unknown_keys(index)
            yield from forgeries(index)
            yield from index.out_of_order()
            store = StoreAgainstLog(index)
            read_models = [
                (TotalsAgainstStore if one.single_owner else ReadModelsAgainstStore)(one)
                for one in PROJECTIONS.values()
            ]
            yield from self._stream_by_stream(store, read_models, reports)
            yield from store.streams_of_the_log_alone()
            yield from store.missing(bus, ends)
            if index.forged:
                self.stderr.write(f"{index.forged:,} records have no right signature.")
        for one in read_models:
            yield from one.foreign()
            yield from one.behind(patience_s)
        self.stderr.write(f"{store.events:,} events are compared.")

    def _stream_by_stream(
        self, store: StoreAgainstLog, read_models: list[ReadModelsAgainstStore], reports: Reports
    ) -> Iterator[str]:
        for streams in all_streams():
            for one in read_models:
                one.read_rows(streams)
            events = events_by_stream(streams)
            yield from store.compare(streams, events)
            for one in read_models:
                yield from one.compare(events)
            reports.tell(store.events, "events are compared")
