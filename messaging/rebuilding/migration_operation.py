"""What migrations of read models may do beside changing tables."""

from typing import Any

from django.db import router
from django.db.migrations.operations.base import Operation

from messaging.message import utc_now
from messaging.rebuilding.requests import best_source


class AskForRebuild(Operation):
    """Ask for a rebuild, once the tables are changed: the consumer's process does it while the
    old rows keep serving. Put it last in a migration that changes what a projection writes.

        operations = [AddField(...), AskForRebuild("orders")]
    """

    reduces_to_sql = False
    reversible = True

    def __init__(self, projection: str, source: str = "") -> None:
        """`source`: log or store; by default the log, of an inline projection the store."""
        self.projection = projection
        self.source = source

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass  # it changes no table

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        alias = schema_editor.connection.alias
        if not router.allow_migrate(alias, "messaging", model_name="rebuild"):
            return
        state = to_state.apps.get_model("messaging", "ProjectionState").objects.using(alias)
        rebuild = to_state.apps.get_model("messaging", "Rebuild").objects.using(alias)
        mine = rebuild.filter(projection=self.projection).order_by("-generation")
        if not state.filter(name=self.projection).exists():
            return  # nothing was built yet
        if mine.exclude(state__in=["done", "cancelled", "failed"]).exists():
            return  # one is under way
        last = mine.values_list("generation", flat=True).first() or 1
        rebuild.create(
            projection=self.projection,
            generation=last + 1,
            source=self.source or best_source(self.projection),
            asked_by="a migration",
            asked_at=utc_now(),
        )

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        pass  # the rows of the old code stay as they are

    def describe(self) -> str:
        return f"Ask for a rebuild of {self.projection}"
