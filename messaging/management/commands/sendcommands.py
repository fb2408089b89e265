"""`manage.py sendcommands FILE`"""

import gzip
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from messaging import conf, mediator
from messaging.actors import Actors
from messaging.api import command_file
from messaging.exceptions import DomainError, NeedsNewerCode
from messaging.management.base import DatabaseCommand
from messaging.message import COMMANDS, Context
from messaging.monitoring.progress import Reports
from messaging.transient import drop_connections, is_away, reason

AWAY_FOR_S = 60.0  # a database, at most; a failover takes seconds
AGAIN_AFTER_S = 1.0


class Command(DatabaseCommand):
    help = (
        "Send the commands of a file (JSON lines, plain or .gz; - for standard input) through the "
        "mediator. Sending the same file again changes nothing: results and refusals are "
        'remembered. A line: {"command": NAME, "actor": USERNAME, FIELD: VALUE, ...}'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        known = (f"{name} ({', '.join(command_file.keys(name))})" for name in COMMANDS)
        parser.epilog = f"Commands and their fields: {'; '.join(known)}."
        parser.add_argument("file", help="The file, or - for standard input.")
        parser.add_argument(
            "--rejects",
            metavar="FILE",
            help="Write each refused line here, with number and reason.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with ExitStack() as stack:
            raw, size = self._open(options["file"], stack)
            rejects = self._open_rejects(options["rejects"], raw, stack)
            zipped = options["file"].endswith(".gz")
            lines = stack.enter_context(gzip.open(raw)) if zipped else raw
            begun = time.monotonic()
            sent, refusals = 0, Counter[str]()
            actors = conf.actors()()
            try:
                for line in self._with_progress(command_file.lines(lines), raw, size):
                    sent += 1
                    try:
                        self._send(line, actors)
                    except DomainError as refused:
                        refusals[refused.code] += 1
                        if rejects is not None:
                            rejects.write(reject(line, refused))
            except (OSError, EOFError, NeedsNewerCode) as error:
                raise CommandError(
                    f"{options['file']}: {error}; {sent} lines were sent."
                ) from error
            except Exception as error:
                if not is_away(error):
                    raise
                raise CommandError(
                    f"{reason(error)}. {sent - 1} lines were sent. Send the file again: what "
                    "was carried out is not repeated."
                ) from error
        self._report(sent, refusals, time.monotonic() - begun)

    def _send(self, line: command_file.Line, actors: Actors) -> None:
        """Send it again while the database is away: a line that was carried out is not repeated."""
        patience = time.monotonic() + AWAY_FOR_S
        while True:
            try:
                self._send_once(line, actors)
                return
            except Exception as error:
                if not is_away(error) or time.monotonic() > patience:
                    raise
                self.stderr.write(f"Line {line.number}: {reason(error)}. Trying again.")
                drop_connections()
                time.sleep(AGAIN_AFTER_S)

    def _send_once(self, line: command_file.Line, actors: Actors) -> None:
        request = command_file.parse(line)
        actor = actors.username(request.actor)
        context = Context(actor=actor, asker=actors.asker(actor), command_id=line.command_id)
        mediator.send(request.command, context)

    def _open(self, name: str, stack: ExitStack) -> tuple[IO[bytes], int | None]:
        if name == "-":
            return sys.stdin.buffer, None
        try:
            return stack.enter_context(Path(name).open("rb")), Path(name).stat().st_size
        except OSError as error:
            raise CommandError(f"{name}: {error.strerror}.", returncode=2) from error

    def _open_rejects(self, name: str | None, raw: IO[bytes], stack: ExitStack) -> IO[str] | None:
        if name is None:
            return None
        if is_same_file(name, raw):
            message = f"--rejects {name} is the file that is read: it would be emptied first."
            raise CommandError(message, returncode=2)
        try:
            return stack.enter_context(Path(name).open("w", encoding="utf-8"))
        except OSError as error:
            raise CommandError(f"{name}: {error.strerror}.", returncode=2) from error

    def _with_progress(
        self, lines: Iterator[command_file.Line], raw: IO[bytes], size: int | None
    ) -> Iterator[command_file.Line]:
        console, reports = Console(stderr=True), Reports(self.stderr.write)
        columns = (
            BarColumn(),
            TextColumn("{task.fields[count]:,} sent, {task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("", total=size, count=0, rate=0.0)
            begun = time.monotonic()
            for count, line in enumerate(lines, 1):
                yield line
                if not console.is_terminal:
                    reports.tell(count, "sent")
                elif count % 50 == 0:
                    rate = count / (time.monotonic() - begun)
                    at = raw.tell() if size is not None else None
                    progress.update(task, completed=at, count=count, rate=rate)

    def _report(self, sent: int, refusals: Counter[str], seconds: float) -> None:
        rate = sent / seconds if seconds else 0
        self.stdout.write(f"{sent:,} commands sent in {seconds:.1f} s ({rate:,.0f}/s).")
        self.stdout.write(f"{refusals.total():,} refused" + (":" if refusals else "."))
        for code, count in refusals.most_common():
            self.stdout.write(f"  {code}: {count:,}")


def is_same_file(name: str, opened: IO[bytes]) -> bool:
    """Under whatever name, and also where the shell has opened it as standard input."""
    try:
        return os.path.samestat(os.stat(name), os.fstat(opened.fileno()))
    except OSError:  # there is none yet; or what is read is no file
        return False


def reject(line: command_file.Line, refused: DomainError) -> str:
    """A refused line as a line of JSON."""
    found = {
        "line": line.number,
        "code": refused.code,
        "reason": refused.detail,
        "text": line.raw.decode(errors="replace"),
    }
    return json.dumps(found, ensure_ascii=True) + "\n"
