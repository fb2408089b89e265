"""`migrate` as Django has it, on both databases unless --database names one."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands.migrate import Command as Migrate
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from messaging.dialect import dialect_of

# What apps of messaging were called before 0.2, and until it had one.
FORMER_APPS = ("bus", "eventstore", "projections", "messaging_eventstore")


class Command(Migrate):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database=None)

    def get_check_kwargs(self, options: dict[str, Any]) -> Any:
        return {**super().get_check_kwargs(options), "databases": self._aliases(options)}

    def handle(self, *args: Any, **options: Any) -> None:
        for alias in self._aliases(options):
            self._refuse_former(alias)
        for alias in self._aliases(options):
            if options["verbosity"] > 0:
                self.stdout.write(self.style.MIGRATE_HEADING(f"Database {alias}:"))
            # A data migration may compute for long between two statements.
            dialect_of(connections[alias]).allow_idle_transactions(connections[alias])
            super().handle(*args, **{**options, "database": alias})

    def _refuse_former(self, alias: str) -> None:
        """Without this, migrating a database of before 0.2 ends in an error that names no cure."""
        recorder = MigrationRecorder(connections[alias])
        former = recorder.applied_migrations()
        if any((app, "0001_initial") in former for app in FORMER_APPS):
            raise CommandError(
                f"Database {alias} ({connections[alias].settings_dict['NAME']}) was made by a "
                "release before 0.2, and no migration leads from it to this one. If nothing in it "
                "is needed, delete it and run this again (`make run` has its files in var/; `make "
                "stack-clean` deletes those of `make stack`)."
            )

    def _aliases(self, options: dict[str, Any]) -> list[str]:
        return [options["database"]] if options["database"] else list(connections)
