"""`manage.py startaggregate Order --events OrderPlaced ... --commands PlaceOrder ...`"""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from messaging.scaffold import writing
from messaging.scaffold.names import NameRefused


class Command(BaseCommand):
    help = (
        "Write a new app for an aggregate: events, state and decisions, commands, handlers, read "
        "model, projection, queries, golden files and a test of each. No file is changed that is "
        "there already."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("aggregate", help="A thing that things happen to: Order.")
        parser.add_argument(
            "--events", nargs="+", required=True, metavar="EVENT",
            help="What happens to it, its beginning first: OrderPlaced OrderPaid.",
        )  # fmt: skip
        parser.add_argument(
            "--commands", nargs="+", required=True, metavar="COMMAND",
            help="What leads to these events, in the same order: PlaceOrder PayOrder.",
        )  # fmt: skip
        parser.add_argument(
            "--app", default="", help="The app: a new one (orders, if left out), or one in which "
            "the aggregate becomes an app of its own.",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        root = Path.cwd()
        try:
            planned = writing.plan(
                root,
                options["aggregate"],
                options["events"],
                options["commands"],
                options["app"],
            )
        except NameRefused as error:
            raise CommandError(str(error), returncode=2) from error
        writing.write(planned)
        for line in _next_steps(planned, root):
            self.stdout.write(line)


def _next_steps(planned: writing.Plan, root: Path) -> list[str]:
    label = planned.package.rpartition(".")[2]
    pairs = [f"  {one.name} leads to {one.event.name}" for one in planned.commands]
    waiting = [f"  {one.name}: no command yet" for one in planned.events[len(pairs) :]]
    return [
        f"Wrote {len(planned.files)} files to {planned.folder.relative_to(root)}/.",
        *pairs,
        *waiting,
        "Next:",
        f'  1. add "{planned.package}" to INSTALLED_APPS, beside "messaging"',
        f"  2. python manage.py makemigrations {label}",
        "  3. python manage.py migrate",
        f"  4. python manage.py test {planned.package}",
    ]
