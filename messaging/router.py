"""Which app lives in which database. No relation, query or transaction spans both."""

from django.db.models import Model

READ_APPS = frozenset({"projections", "queries_app"})


def database_of(app_label: str) -> str:
    return "read" if app_label in READ_APPS else "default"


class SplitRouter:
    def db_for_read(self, model: type[Model], **hints: object) -> str:
        return database_of(model._meta.app_label)

    db_for_write = db_for_read

    def allow_relation(self, one: Model, other: Model, **hints: object) -> bool:
        return database_of(one._meta.app_label) == database_of(other._meta.app_label)

    def allow_migrate(self, db: str, app_label: str, **hints: object) -> bool:
        return db == database_of(app_label)
