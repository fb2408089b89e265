"""Which app lives in which database: read models and what is kept of them in `read`, the rest in
`default`. No relation, query or transaction spans both.

    DATABASE_ROUTERS = ["messaging.router.SplitRouter"]
"""

from functools import cache

from django.db.models import Model

from messaging.projections.registry import PROJECTIONS

CHECKPOINTS = "messaging_projections"  # the app with the checkpoints and dead letters


def database_of(app_label: str) -> str:
    return "read" if app_label in _read_apps(tuple(PROJECTIONS)) else "default"


@cache
def _read_apps(projections: tuple[str, ...]) -> frozenset[str]:
    """The apps of these projections' read models."""
    models = (model for name in projections for model in PROJECTIONS[name].models)
    return frozenset({CHECKPOINTS, *(model._meta.app_label for model in models)})


class SplitRouter:
    def db_for_read(self, model: type[Model], **hints: object) -> str:
        return database_of(model._meta.app_label)

    db_for_write = db_for_read

    def allow_relation(self, one: Model, other: Model, **hints: object) -> bool:
        return database_of(one._meta.app_label) == database_of(other._meta.app_label)

    def allow_migrate(self, db: str, app_label: str, **hints: object) -> bool:
        return db == database_of(app_label)
