"""`manage.py sendcommands FILE`"""

import json
import os
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from messaging.api import command_file
from messaging.api.command_file import Line
from messaging.api.sending import MAX_TOGETHER, Outcome, Refusal, by_processes, here
from messaging.exceptions import NeedsNewerCode, WorkerFailed
from messaging.installed import require_packages
from messaging.management.base import DatabaseCommand
from messaging.management.files import opened
from messaging.message import COMMANDS
from messaging.monitoring.progress import Reports
from messaging.transient import is_away, is_unmigrated, reason

MAX_NAMED = 20  # keys that were ignored


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
        parser.add_argument(
            "--jobs",
            type=int,
            default=1,
            metavar="N",
            help="Send with N processes. Lines that name the same id keep their order.",
        )
        parser.add_argument(
            "--in-order-of",
            action="append",
            default=[],
            metavar="KEY",
            help="With --jobs: lines with the same value of this key keep their order, too. For "
            "what is named by no id, such as a SKU.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        require_packages()  # lines are read by the decoder of the API
        if options["jobs"] < 1:
            raise CommandError("--jobs takes a number from 1.", returncode=2)
        with ExitStack() as stack:
            raw, found, size = opened(options["file"], stack)
            rejects = self._open_rejects(options["rejects"], raw, stack)
            lines = command_file.lines(found)
            begun = time.monotonic()
            sent, refusals, ignored = 0, Counter[str](), Counter[str]()
            try:
                outcomes = stack.enter_context(closing(self._outcomes(lines, options)))
                for line, refusal in self._with_progress(outcomes, raw, size):
                    sent += 1
                    if refusal is None:
                        ignored.update(command_file.ignored(line))
                    else:
                        refusals[refusal.code] += 1
                        if rejects is not None:
                            rejects.write(reject(line, refusal))
            except Exception as error:
                if (said := failure(error, options["file"], sent)) is None:
                    raise
                raise CommandError(said) from error
        self._report(sent, refusals, ignored, time.monotonic() - begun)

    def _outcomes(
        self, lines: Iterator[Line], options: dict[str, Any]
    ) -> Generator[Outcome, None, None]:
        if options["jobs"] == 1:
            # Nobody knows when the next line of standard input, or of a pipe with a name, comes.
            is_file = options["file"] != "-" and Path(options["file"]).is_file()
            return here(lines, self.stderr.write, together=MAX_TOGETHER if is_file else 1)
        return by_processes(lines, options["jobs"], options["in_order_of"])

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
        self, outcomes: Iterator[Outcome], raw: IO[bytes], size: int | None
    ) -> Iterator[Outcome]:
        console, reports = Console(stderr=True), Reports(self.stderr.write)
        columns = (
            BarColumn(),
            TextColumn("{task.fields[count]:,} sent, {task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("", total=size, count=0, rate=0.0)
            begun = time.monotonic()
            for count, outcome in enumerate(outcomes, 1):
                yield outcome
                if not console.is_terminal:
                    reports.tell(count, "sent")
                elif count % 50 == 0:
                    rate = count / (time.monotonic() - begun)
                    at = raw.tell() if size is not None else None
                    progress.update(task, completed=at, count=count, rate=rate)

    def _report(
        self, sent: int, refusals: Counter[str], ignored: Counter[str], seconds: float
    ) -> None:
        rate = sent / seconds if seconds else 0
        self.stdout.write(f"{sent:,} commands sent in {seconds:.1f} s ({rate:,.0f}/s).")
        self.stdout.write(f"{refusals.total():,} refused" + (":" if refusals else "."))
        for code, count in refusals.most_common():
            self.stdout.write(f"  {code}: {count:,}")
        if ignored:
            self.stdout.write("Ignored, because the command does not have it:")
        for key, count in ignored.most_common(MAX_NAMED):
            self.stdout.write(f"  {ascii(key)[1:-1]:.80}: {count:,}")
        if len(ignored) > MAX_NAMED:
            self.stdout.write(f"  and {len(ignored) - MAX_NAMED:,} other keys")


def is_same_file(name: str, opened: IO[bytes]) -> bool:
    """Under whatever name, and also where the shell has opened it as standard input."""
    try:
        return os.path.samestat(os.stat(name), os.fstat(opened.fileno()))
    except OSError:  # there is none yet; or what is read is no file
        return False


def reject(line: Line, refusal: Refusal) -> str:
    """A refused line as a line of JSON."""
    found = {
        "line": line.number,
        "code": refusal.code,
        "reason": refusal.detail,
        "text": line.raw.decode(errors="replace"),
    }
    return json.dumps(found, ensure_ascii=True) + "\n"


def failure(error: Exception, file: str, sent: int) -> str | None:
    """What ended the sending, in one line, where that says what to do."""
    if isinstance(error, (OSError, EOFError, NeedsNewerCode)):
        return f"{file}: {error}; {sent} lines were sent."
    if is_away(error) or is_unmigrated(error) or isinstance(error, WorkerFailed):
        return (
            f"{reason(error)}. {sent} lines were sent. Send the file again: what was carried out "
            "is not repeated."
        )
    return None
