"""`manage.py restore-events`"""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connections

from messaging import plausible
from messaging.bus import current_bus
from messaging.bus.base import Bus
from messaging.bus.signing import key_ring
from messaging.conf import write_alias
from messaging.eventstore.models import RejectedRecord
from messaging.management.base import DatabaseCommand
from messaging.monitoring.audit import record_from_shell
from messaging.monitoring.progress import Reports
from messaging.recovery import restore
from messaging.recovery.forgeries import unknown_keys
from messaging.recovery.log_index import LogIndex
from messaging.recovery.restore import Restored
from messaging.relay import log_identity
from messaging.workers.leadership import Leadership, acquired, leadership

MAX_SHOWN = 20


class Command(DatabaseCommand):
    help = (
        "Complete an empty or lagging event store from the log: streams, events, receipts and "
        "missing accounts (without a password). Stop the relays and do not send commands "
        "meanwhile. Running it again changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be done.")
        parser.add_argument(
            "--ignore-unreadable",
            action="store_true",
            help="Continue although the log holds records that are no events.",
        )

        parser.add_argument(
            "--ignore-unsigned",
            action="store_true",
            help="Continue although the log holds records that are older than signatures, or "
            'signed with a key that POSTLOG["RECORD_KEYS"] lacks. They are not restored.',
        )

    def handle(self, *args: Any, **options: Any) -> None:
        lock = leadership("relay", write_alias())
        try:
            if not acquired(lock):
                raise CommandError("A relay is active. Stop it, and run this again.")
            self._restore(current_bus(), lock, options)
        finally:
            lock.release()

    def _restore(self, bus: Bus, lock: Leadership, options: dict[str, Any]) -> None:
        identity = bus.identity()
        log_identity.require_no_other_log(identity)
        ends = bus.end_offsets()
        reports = Reports(self.stderr.write)
        rejected = RejectedRecord.all_of_them()
        latest = plausible.latest(connections[write_alias()])
        believed: dict[str, Any] = {"rejected": rejected, "latest": latest, "ring": key_ring()}
        with LogIndex(len(ends), keep_documents=True, **believed) as index:
            index.add(bus, bus.begin_offsets(), ends, reports.tell)
            self.stderr.write(f"{index.read:,} records of the log are read.")
            if not options["ignore_unreadable"]:
                self._refuse(
                    index.malformed, "say --ignore-unreadable if these are no events of yours"
                )
            if not options["ignore_unsigned"]:
                self._refuse_unverified(index)
            self._refuse(list(restore.conflicts(index)), "nothing was restored")
            if not options["dry_run"]:
                record_from_shell("restore-events")

            def report(done: Restored) -> None:
                self._require_leadership(lock)
                reports.tell(done.events, "events are restored")

            done = restore.restore(index, report, dry=options["dry_run"])
        if not options["dry_run"]:
            log_identity.require_same_log(identity)
            log_identity.note_compared(bus, index.last)
        self._tell(done, dry=options["dry_run"])
        if index.forged:
            self.stdout.write(f"{index.forged:,} records without a right signature were left out.")

    def _refuse_unverified(self, index: LogIndex) -> None:
        """Refuse to leave out in silence what may be genuine, and cannot be verified."""
        hint = "; or say --ignore-unsigned to leave them out"
        self._refuse(list(unknown_keys(index)), f"nothing was restored{hint}")
        self._refuse(
            [f"{location}: not signed" for location in index.unsigned_before()],
            "they may be of before records were signed. To restore them too, run this with "
            f'POSTLOG["SIGN_RECORDS"] = False{hint}',
        )

    def _refuse(self, reasons: list[str], what: str) -> None:
        for reason in reasons[:MAX_SHOWN]:
            self.stderr.write(reason)
        if reasons:
            raise CommandError(f"{len(reasons):,} such: {what}.")

    def _require_leadership(self, lock: Leadership) -> None:
        if not lock.acquire():
            raise CommandError("A relay has become active meanwhile. Stop it, and run this again.")

    def _tell(self, done: Restored, *, dry: bool) -> None:
        what = "would be restored" if dry else "were restored"
        self.stdout.write(f"{done.events:,} events of {done.streams:,} streams {what}.")
        if not dry:
            self.stdout.write(
                f"{done.receipts:,} receipts and {done.actors:,} accounts without a password."
            )
        for actor in sorted(done.no_usernames):
            self.stdout.write(f"{actor!a} cannot be a username: there is no account of it.")
