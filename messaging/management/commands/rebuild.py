"""`manage.py rebuild [NAME]`"""

import time
from threading import Event as Flag
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from messaging.bus import current_bus
from messaging.dialect import sessions
from messaging.management.base import DatabaseCommand
from messaging.monitoring.audit import record_from_shell, shell_user
from messaging.projections.models import Rebuild
from messaging.projections.registry import PROJECTIONS
from messaging.rebuilding import requests
from messaging.rebuilding.worker import RebuildWorker, builders_lock
from messaging.workers.leadership import acquired
from messaging.workers.threads import run_until_stopped

REDRAW_EVERY_S = 0.25
REPORT_EVERY_S = 5.0


class Command(DatabaseCommand):
    help = (
        "Build a new generation of a projection's read models beside the live one, which keeps "
        "serving, and switch readers to it when it is level. An interrupted rebuild resumes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        names = sorted(PROJECTIONS)
        parser.add_argument("name", nargs="?", choices=names, help="Of the projection. None: all.")
        parser.add_argument(
            "--from",
            dest="source",
            choices=Rebuild.Source.values,
            help="Read the log from its beginning (default), or the event store (default of an "
            "inline projection).",
        )
        parser.add_argument(
            "--accept-going-back",
            action="store_true",
            help="Switch even if readers have seen later versions than the source has, because "
            "those are lost for good: the event store was put back to an earlier copy.",
        )
        parser.add_argument(
            "--cancel", action="store_true", help="Stop the rebuild and remove what it has built."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["cancel"] and options["accept_going_back"]:
            raise CommandError("--accept-going-back goes with a rebuild only.", returncode=2)
        for name in [options["name"]] if options["name"] else sorted(PROJECTIONS):
            sessions.require_that_they_last()
            self._cancel(name) if options["cancel"] else self._rebuild(name, options)

    def _cancel(self, name: str) -> None:
        record_from_shell("cancel a rebuild", name)
        rebuild = requests.cancel(name)
        if rebuild is None:
            self.stdout.write(f"{name}: no rebuild is under way.")
            return
        self._build(rebuild)  # what is left of it is removed by whoever holds the lock
        self.stdout.write(f"{name}: generation {rebuild.generation} was cancelled.")

    def _rebuild(self, name: str, options: dict[str, Any]) -> None:
        source, back = options["source"] or requests.best_source(name), options["accept_going_back"]
        accepted = ", accept going back" if back else ""
        record_from_shell("rebuild", f"{name} from the {source}{accepted}")
        rebuild = requests.active(name)
        if rebuild is None:
            rebuild = requests.ask(name, source, shell_user(), accept_regression=back)
            self._build(rebuild)
        else:
            self._resume(rebuild, source, back=back)
        self._tell_end(rebuild)

    def _resume(self, rebuild: Rebuild, source: str, *, back: bool) -> None:
        if back and rebuild.source != source:
            # What the one source lacks for good, the other may have.
            raise requests.UnderWay(rebuild)
        lock = builders_lock(rebuild.projection)
        is_free = acquired(lock)
        lock.release()
        if not is_free:
            raise requests.UnderWay(rebuild)
        if back:
            Rebuild.objects.filter(id=rebuild.id).update(accept_regression=True)
        self.stdout.write(f"Resuming what was interrupted: {requests.describe(rebuild)}.")
        self._build(rebuild)

    def _build(self, rebuild: Rebuild) -> None:
        run_until_stopped(
            {
                "rebuild": lambda stop: RebuildWorker(current_bus()).build(rebuild, stop),
                "progress": lambda stop: self._show(rebuild, stop),
            },
            code_if_cut_short=1,
        )

    def _show(self, rebuild: Rebuild, stop: Flag) -> None:
        console = Console(stderr=True)
        if not console.is_terminal:
            while not stop.wait(REPORT_EVERY_S):
                self.stderr.write(requests.describe(Rebuild.objects.get(id=rebuild.id)))
            return
        columns = (
            TextColumn("{task.fields[state]}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} events, {task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("", total=None, state="", rate=0.0)
            begun, first = time.monotonic(), rebuild.events_done
            while not stop.wait(REDRAW_EVERY_S):
                now = Rebuild.objects.get(id=rebuild.id)
                rate = (now.events_done - first) / (time.monotonic() - begun)
                total = max(now.events_total, now.events_done) or None
                progress.update(
                    task, total=total, completed=now.events_done, state=now.state, rate=rate
                )

    def _tell_end(self, rebuild: Rebuild) -> None:
        rebuild.refresh_from_db()
        if rebuild.state == Rebuild.State.FAILED:
            raise CommandError(f"{rebuild.projection}: {rebuild.error}")
        if rebuild.state == Rebuild.State.CANCELLED:
            raise CommandError(f"{rebuild.projection}: the rebuild was cancelled.")
        if rebuild.ended_at is None:
            raise CommandError(
                f"Stopped: {requests.describe(rebuild)}. It resumes when you run this again, or by "
                "itself in a running `manage.py runconsumer`."
            )
        seconds = (rebuild.ended_at - rebuild.asked_at).total_seconds()
        self.stdout.write(
            f"{rebuild.projection}: generation {rebuild.generation} is live. "
            f"{rebuild.events_done:,} events in {seconds:.1f} s "
            f"({rebuild.events_done / max(seconds, 0.001):,.0f}/s)."
        )
