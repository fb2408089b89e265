"""Columns that were added to read models after their tables were made, by their migrations."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import CreateModel, RenameField
from django.db.models import NOT_PROVIDED

from messaging.projections.read_models import ReadModel


def columns_without_default(
    models: Iterable[type[ReadModel]],
) -> Iterator[tuple[type[ReadModel], str]]:
    """Fields that break inserts by an earlier release: not null, without a default in the database,
    and added later. Also those with db_default but no default: a new row would carry an expression
    instead of a value."""
    for model in models:
        first = _first_fields(model._meta.app_label, model._meta.model_name or "")
        if first is None:
            continue  # it has no migration yet
        for field in model._meta.local_concrete_fields:
            in_database = field.db_default is not NOT_PROVIDED
            if (in_database and not field.has_default()) or not (
                field.name in first or field.null or in_database
            ):
                yield model, field.name


@cache
def _first_fields(app_label: str, model: str) -> frozenset[str] | None:
    """The fields of the migration that made the model, by their present names."""
    found: set[str] | None = None
    for operation in _operations(app_label):
        if isinstance(operation, CreateModel) and operation.name_lower == model:
            found = {name for name, _ in operation.fields}
        elif (
            found is not None
            and isinstance(operation, RenameField)
            and operation.model_name_lower == model
            and operation.old_name in found
        ):
            found = found - {operation.old_name} | {operation.new_name}
    return None if found is None else frozenset(found)


@cache
def _operations(app_label: str) -> list[Any]:
    """Of an app's migrations, in their order."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    found: list[Any] = []
    for leaf in loader.graph.leaf_nodes(app_label):
        for key in loader.graph.forwards_plan(leaf):
            if key[0] == app_label:
                found += loader.graph.nodes[key].operations
    return found
