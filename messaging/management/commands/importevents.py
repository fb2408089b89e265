"""`manage.py importevents FILE`"""

from contextlib import ExitStack
from typing import Any

from django.core.management.base import CommandError, CommandParser

from messaging.importing.importer import MAX_FAULTS, Imported, ImportRefused, import_events
from messaging.management.base import DatabaseCommand
from messaging.management.files import opened
from messaging.monitoring.audit import record_from_shell
from messaging.monitoring.progress import Reports


class Command(DatabaseCommand):
    help = (
        "Import a history from another system (JSON lines, plain or .gz; - for standard input): "
        "all of it in one transaction, or nothing if one line is wrong. Importing the same file "
        'again changes nothing. A line: {"stream": ID, "version": N, "type": WIRE NAME, "at": '
        'TIME, "actor": USERNAME, "data": {FIELD: VALUE, ...}} (docs/guides/importing.md)'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="The file, or - for standard input.")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="Check all lines, against the store as well, and store nothing. It takes as long.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        dry = options["dry_run"]
        reports = Reports(self.stderr.write)
        with ExitStack() as stack:
            _, lines, _ = opened(options["file"], stack)
            if not dry:
                record_from_shell("importevents", options["file"])
            try:
                done = import_events(lines, lambda read: reports.tell(read, "lines read"), dry=dry)
            except ImportRefused as refused:
                raise self._refusal(refused) from refused
            except (OSError, EOFError) as error:
                raise CommandError(f"{options['file']}: {error}. Nothing is stored.") from error
        self._tell(done, dry=dry)

    def _refusal(self, refused: ImportRefused) -> CommandError:
        for line, reason in refused.faults[:MAX_FAULTS]:
            self.stderr.write(f"Line {line}: {reason}.")
        more = " There may be more." if len(refused.faults) > MAX_FAULTS else ""
        return CommandError(f"{refused}{more}")

    def _tell(self, done: Imported, *, dry: bool) -> None:
        what = "would be stored" if dry else "are stored"
        self.stdout.write(f"{done.events:,} events {what}, and {done.begun:,} streams begun.")
        if done.repeats:
            self.stdout.write(f"{done.repeats:,} events were stored before.")
        if done.reserved:
            self.stdout.write(f"{done.reserved:,} values reserved.")
        if done.actors:
            self.stdout.write(f"{done.actors:,} accounts without a password.")
