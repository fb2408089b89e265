"""`manage.py status`"""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from messaging.management.base import DatabaseCommand
from messaging.monitoring.stall_watch import describe
from messaging.monitoring.status import (
    NOT_BUILT,
    ProjectionStatus,
    Status,
    current_status,
    workers_to_start,
)
from messaging.templatetags.figures import thousands


class Command(DatabaseCommand):
    help = "Show how far the events have come: stored, waiting, published, applied, parked."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="As one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        found = current_status()
        if options["json"]:
            self.stdout.write(json.dumps(asdict(found)))
        else:
            self._show(found)
        if found.log_fault:
            raise CommandError(
                f"The log could not be asked, so the lag is unknown. {found.log_fault}"
            )

    def _show(self, found: Status) -> None:
        self.stdout.write(f"events stored   {found.events:>12,}")
        self.stdout.write(f"outbox waiting  {found.outbox:>12,}")
        self.stdout.write(f"lag             {thousands(found.lag):>12}")
        self.stdout.write(f"dead letters    {found.dead_letters:>12,}")
        if found.oldest_snapshot_s is not None:
            self.stdout.write(f"oldest snapshot {found.oldest_snapshot_s:>10,.1f} s")
        for hazard in found.hazards:
            self.stdout.write(self.style.WARNING(f"hazard: {hazard}"))
        for one in found.projections:
            self._show_projection(one)
        for worker in found.workers:
            what = "active" if worker.at_work else "standing by"
            self.stdout.write(f"{worker.role} {worker.process}: {what} for {worker.for_s:,} s")
            if worker.error:
                error = f"  it cannot work now, and tries again: {worker.error}"
                self.stdout.write(self.style.ERROR(error))
        for command in workers_to_start():
            self.stdout.write(
                self.style.WARNING(f"Nothing reaches readers now: start `{command}`.")
            )

    def _show_projection(self, one: ProjectionStatus) -> None:
        self.stdout.write(
            f"projection {one.name}: generation {one.generation}, {one.state}, "
            + ("no lag" if one.inline else f"lag {thousands(one.lag)}")
            + f", dead letters {one.dead_letters:,}"
        )
        if one.state == NOT_BUILT:
            rows = "nobody writes its rows, which lack events"
            self.stdout.write(self.style.ERROR(f"  {rows}: manage.py rebuild {one.name}"))
        if one.rebuild:
            self.stdout.write(f"  a rebuild is under way: {one.rebuild}")
        if one.waits_for_newer_code:
            self.stdout.write(
                f"  {one.waits_for_newer_code:,} streams wait for newer code: events of "
                "types that no consumer knows. Start one with the newer code."
            )
        for partition, lag in one.lag_by_partition.items():
            if lag:
                self.stdout.write(f"  partition {partition}: lag {lag:,}")
        for partition, why in one.halted.items():
            self.stdout.write(self.style.ERROR(f"  partition {partition} is halted: {why}"))
        for partition, seconds in one.stalled.items():
            stall = describe(partition, one.lag_by_partition[partition], seconds)
            self.stdout.write(self.style.ERROR(f"  {stall}"))
