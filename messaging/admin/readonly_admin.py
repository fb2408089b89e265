"""How the record is shown: to be read, never to be written, by superusers neither.

The tables grow without end. So lists are in the order of an index, count no further than
MAX_LISTED, cannot be sorted otherwise, and searches and filters look up an index or among the
newest rows.
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import DateTimeField, Model, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html

from messaging.monitoring.finding import newest
from messaging.monitoring.pretty_json import readable

MAX_LISTED = 10_000  # rows that a list leads to, page by page
TO_THE_SECOND = "%Y-%m-%d %H:%M:%S"

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
    Pages = Paginator[Any]
else:
    Base, Pages = admin.ModelAdmin, Paginator  # not generic at run time

Rows = QuerySet[Any]


class CappedPaginator(Pages):
    @cached_property
    def count(self) -> int:
        return int(self.object_list[:MAX_LISTED].count())  # type: ignore[attr-defined]  # rows


class IndexedList(ChangeList):
    """In its own order, whatever the address asks for."""

    def get_ordering(self, request: HttpRequest, queryset: Rows) -> list[Any]:
        return list(self.model_admin.get_ordering(request))


class ReadOnlyAdmin(Base):
    """To be read by who has the permission to view, and written by nobody."""

    task: ClassVar[str] = "inside"  # under which the start page lists it (console/tasks.py)
    actions = None
    paginator = CappedPaginator
    show_facets = admin.ShowFacets.NEVER  # it would count the whole table for each
    show_full_result_count = False
    sortable_by = ()

    class Media:
        css = {"all": ["messaging/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:  # type: ignore[override]  # the stubs say TemplateResponse
        if request.method == "POST":
            raise PermissionDenied
        return super().changelist_view(request, extra_context)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return IndexedList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """With times to the second, which is what one compares with a line of a log."""
        times = {f.name for f in self.opts.get_fields() if isinstance(f, DateTimeField)}
        names: list[Any] = list(super().get_list_display(request))
        return [to_the_second(one) if one in times else one for one in names]

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """No filters by hand-made addresses, beside those of `list_filter`."""
        return lookup in {getattr(one, "parameter_name", None) for one in self.list_filter}

    def get_search_results(self, request: HttpRequest, queryset: Rows, term: str) -> Any:
        searched = term.strip() if self.search_fields else ""  # an address may ask all the same
        return (self.search(queryset, searched) if searched else queryset), False

    def search(self, rows: Rows, term: str) -> Rows:
        """By default those of the newest whose search field is the whole term. Only called where
        there is one."""
        return newest(rows).filter(**{self.search_fields[0]: term})


def page_of(model: type[Model], key: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[key])


def to_the_second(name: str) -> Callable[[Any], str | None]:
    """A column of a list: a time of the row, in UTC."""

    @admin.display(description=name.replace("_", " "), empty_value="-")
    def shown(row: Any) -> str | None:
        at = getattr(row, name)
        return None if at is None else f"{at:{TO_THE_SECOND}}"

    shown.__name__ = name  # the column's class
    return shown


def as_uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None


def document(raw: str | bytes | memoryview | None) -> str:
    return format_html('<pre class="document">{}</pre>', readable(raw))
