"""Links beside a list: what came lately, and of which kind. None of them reads a whole table."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from messaging.admin.readonly_admin import Rows
from messaging.message import utc_now
from messaging.monitoring.finding import CLOCKS_DIFFER, first_since, newest

SPANS = {
    "10m": ("Last 10 minutes", timedelta(minutes=10)),
    "1h": ("Last hour", timedelta(hours=1)),
    "1d": ("Last day", timedelta(days=1)),
}


class Lately(admin.SimpleListFilter):
    """Of a table whose primary key is a growing number: from the first row of that time on."""

    title = "time"
    parameter_name = "since"
    field: str

    @classmethod
    def by(cls, field: str) -> type["Lately"]:
        return type("Lately", (cls,), {"field": field})

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(span, label) for span, (label, _) in SPANS.items()]

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        if (span := SPANS.get(self.value() or "")) is None:
            return queryset
        since, every = utc_now() - span[1], queryset.model._default_manager.all()
        first = first_since(every, self.field, since - CLOCKS_DIFFER)
        return queryset.filter(pk__gte=first, **{f"{self.field}__gte": since})


def choice(name: str, values: Callable[[], Iterable[str]]) -> type[admin.SimpleListFilter]:
    """A link for each value of a field, among the newest rows."""

    class Choice(admin.SimpleListFilter):
        title = name
        parameter_name = name

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(value, value) for value in values()]

        def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
            value = self.value()
            known = value is not None and value in set(values())
            return newest(queryset).filter(**{name: value}) if known else queryset

    return Choice
