"""`migrate` as Django has it, on both of our databases unless --database names one."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands.migrate import Command as Migrate
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from messaging import conf
from messaging.dialect import dialect_of
from messaging.router import apps_in

# What apps of messaging were called before 0.2, and until it had one.
FORMER_APPS = ("bus", "eventstore", "projections", "messaging_eventstore")


class Command(Migrate):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database=None)

    def get_check_kwargs(self, options: dict[str, Any]) -> Any:
        # One that is missing is what the checks have to say.
        there = [alias for alias in self._aliases(options) if alias in connections]
        return {**super().get_check_kwargs(options), "databases": there}

    def handle(self, *args: Any, **options: Any) -> None:
        aliases = self._aliases(options)
        for alias in aliases:
            if alias in conf.aliases():
                self._refuse_former(alias)
        for alias in aliases:
            if options["verbosity"] > 0:
                self.stdout.write(self.style.MIGRATE_HEADING(f"Database {alias}:"))
            # A data migration may compute for long between two statements.
            if alias in conf.aliases():
                dialect_of(connections[alias]).allow_idle_transactions(connections[alias])
            for some in self._targets(alias, options):
                super().handle(*args, **{**options, "database": alias, **some})

    def _targets(self, alias: str, options: dict[str, Any]) -> list[dict[str, Any]]:
        """Of the read database only the apps that have tables there: Django would record the
        migrations of all others as applied, and never make a table that is moved there later."""
        labels = apps_in(alias)
        migrated = MigrationLoader(None, ignore_no_migrations=True).migrated_apps
        if options["app_label"] or labels is None or not labels <= migrated:
            return [{}]
        return [{"app_label": label, "run_syncdb": False} for label in sorted(labels)]

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
        """Django's own alias and ours. Another one is migrated if it is named, as always."""
        if options["database"]:
            return [options["database"]]
        return list(dict.fromkeys((DEFAULT_DB_ALIAS, *conf.aliases())))
