"""`manage.py events schema`, `manage.py events diff --against FILE`"""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from messaging.codec import compatibility


class Command(BaseCommand):
    help = (
        "Write the schemas of all events for a release (schema), or compare them with those of an "
        "earlier one (diff): is everything that it stored read as before?"
    )
    requires_system_checks = []  # a gap in upcasters is among what it names

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("schema", help="Write them, as JSON, to standard output.")
        diff = actions.add_parser(
            "diff", help="List what has changed. Exits with 1 if that breaks the reading of events."
        )
        diff.add_argument(
            "--against", type=Path, required=True, metavar="FILE",
            help="What `events schema` wrote for the last release.",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "schema":
            self.stdout.write(compatibility.encode_schemas(compatibility.current_schemas()))
            return
        changes = compatibility.changes_since(_schemas_in(options["against"]))
        for one in changes:
            if one.is_breaking:
                self.stdout.write(f"breaking    {one.wire_name}: {one.what}. {one.hint}.")
            else:
                self.stdout.write(f"compatible  {one.wire_name}: {one.what}.")
        if not changes:
            self.stdout.write("Nothing has changed.")
        if breaking := sum(one.is_breaking for one in changes):
            raise CommandError(f"Changes that break the reading of events: {breaking}.")


def _schemas_in(file: Path) -> compatibility.EventSchemas:
    try:
        return compatibility.decode_schemas(file.read_bytes())
    except (OSError, compatibility.NoSchemas) as error:
        raise CommandError(
            f"{file} cannot be read: {error}. Write it with `manage.py events schema > {file}`, by "
            "the code of the last release.",
            returncode=2,
        ) from error
