"""Which model lives in which database: read models and what is kept of them in `read`, the other
tables of messaging in `default`. No relation, query or transaction spans both. Where the models of
other apps live, other routers or Django decide; only `read` takes none of them.

    DATABASE_ROUTERS = ["messaging.router.SplitRouter"]

With one database for all, no router is needed.
"""

from typing import Any

from django.apps import apps
from django.db.models import Model

from messaging.conf import read_alias, write_alias
from messaging.projections import models as read_side
from messaging.projections.read_models import ReadModel

KEY = {field.name for field in ReadModel._meta.fields}


def database_of(model: type[Model]) -> str | None:
    """The alias of a table of messaging or of a read model; None for any other."""
    options = model._meta
    try:  # a migration's model has no bases and no module
        today: type[Model] | None = apps.get_model(options.app_label, options.object_name)
    except LookupError:
        today = None
    if today is None:  # deleted since
        return read_alias() if _was_read_model(options) else None
    if issubclass(today, ReadModel) or today.__module__ == read_side.__name__:
        return read_alias()
    return write_alias() if options.app_label == "messaging" else None


def _was_read_model(options: Any) -> bool:
    """Whether a migration's model has the key of a read model, or in an app of read models that of
    totals."""
    names = {field.name for field in options.local_fields}
    if names >= KEY:
        return True
    models = apps.get_app_config(options.app_label).get_models()
    return "generation" in names and any(issubclass(model, ReadModel) for model in models)


def apps_in(alias: str) -> set[str] | None:
    """The apps with tables in a database, if it has none but ours; else None."""
    if alias != read_alias() or alias == write_alias():
        return None
    return {m._meta.app_label for m in apps.get_models() if database_of(m) == alias}


class SplitRouter:
    def db_for_read(self, model: type[Model], **hints: object) -> str | None:
        return database_of(model)

    db_for_write = db_for_read

    def allow_relation(self, one: Model, other: Model, **hints: object) -> bool | None:
        # Not their types: a request's user is a lazy object of another one.
        places = database_of(one._meta.model), database_of(other._meta.model)
        return None if places == (None, None) else places[0] == places[1]

    def allow_migrate(
        self,
        db: str,
        app_label: str,
        model_name: str | None = None,
        model: type[Model] | None = None,
        **hints: object,
    ) -> bool | None:
        """An operation that names no model, such as RunPython, is for all of its app; to name one,
        give it hints={"model_name": "order"}."""
        if model is not None:
            models = [model]
        elif model_name:
            models = [apps.get_model(app_label, model_name)]
        else:
            models = list(apps.get_app_config(app_label).get_models())
        wanted = {database_of(one) for one in models} or {None}
        if db in wanted:
            return True
        only_read_models = db == read_alias() != write_alias()
        return None if None in wanted and not only_read_models else False
