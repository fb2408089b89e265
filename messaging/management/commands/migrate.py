"""`migrate` as Django has it, on both databases unless --database names one."""

from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands.migrate import Command as Migrate
from django.db import connections


class Command(Migrate):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database=None)

    def get_check_kwargs(self, options: dict[str, Any]) -> Any:
        return {**super().get_check_kwargs(options), "databases": self._aliases(options)}

    def handle(self, *args: Any, **options: Any) -> None:
        for alias in self._aliases(options):
            if options["verbosity"] > 0:
                self.stdout.write(self.style.MIGRATE_HEADING(f"Database {alias}:"))
            self._take_time(alias)
            super().handle(*args, **{**options, "database": alias})

    def _take_time(self, alias: str) -> None:
        """A data migration may compute for long between two statements."""
        pooled = connections[alias].settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
        if connections[alias].vendor == "postgresql" and not pooled:
            with connections[alias].cursor() as cursor:
                cursor.execute("SET idle_in_transaction_session_timeout = 0")

    def _aliases(self, options: dict[str, Any]) -> list[str]:
        return [options["database"]] if options["database"] else list(connections)
