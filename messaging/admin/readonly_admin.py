"""How the record is shown: to be read, never to be written, by superusers neither.

The tables grow without end. So lists are in the order of an index, count no further than
MAX_LISTED, cannot be sorted or filtered otherwise, and searches look up an index or
among the newest rows.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html

from messaging.monitoring.pretty_json import readable

MAX_LISTED = 10_000  # rows that a list leads to, page by page
MAX_SEARCHED = 100_000  # newest rows, for what has no index

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

    actions = None
    paginator = CappedPaginator
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

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        return False  # no filters by hand-made addresses

    def get_search_results(self, request: HttpRequest, queryset: Rows, term: str) -> Any:
        searched = term.strip() if self.search_fields else ""  # an address may ask all the same
        return (self.search(queryset, searched) if searched else queryset), False

    def search(self, rows: Rows, term: str) -> Rows:
        """By default those whose search field is the whole term. Only called where there is one."""
        return rows.filter(**{self.search_fields[0]: term})


def page_of(model: type[Model], key: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[key])


def newest(rows: Rows) -> Rows:
    """The newest rows of a table whose primary key is a growing number."""
    last = rows.model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0
    return rows.filter(pk__gt=last - MAX_SEARCHED)


def as_uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None


def document(raw: str | bytes | memoryview | None) -> str:
    return format_html('<pre class="document">{}</pre>', readable(raw))
