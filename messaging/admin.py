"""The record in the admin: to be read, never to be written, by superusers neither.

The tables grow without end. So lists are in the order of an index, count no further than
MOST_LISTED, cannot be sorted or filtered otherwise, and searches look up an index or
among the newest rows.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from messaging.documents import readable
from messaging.eventstore.models import Event, Outbox, Receipt, Stream
from messaging.projections.models import Checkpoint, DeadLetter, ProjectionState

MOST_LISTED = 10_000  # rows that a list leads to, page by page
MOST_SEARCHED = 100_000  # newest rows, for what has no index
EVENTS_SHOWN = 100  # on the page of their stream

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
    Pages = Paginator[Any]
else:
    Base, Pages = admin.ModelAdmin, Paginator  # not generic at run time

Rows = QuerySet[Any]


class CappedPaginator(Pages):
    @cached_property
    def count(self) -> int:
        return int(self.object_list[:MOST_LISTED].count())  # type: ignore[attr-defined]  # rows


class IndexedList(ChangeList):
    """In its own order, whatever the address asks for."""

    def get_ordering(self, request: HttpRequest, queryset: Rows) -> list[Any]:
        return list(self.model_admin.get_ordering(request))


class RecordAdmin(Base):
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
        return (self.search(queryset, term.strip()) if term.strip() else queryset), False

    def search(self, rows: Rows, term: str) -> Rows:
        """The rows that the term means. Only called where there are `search_fields`."""
        raise NotImplementedError


@admin.register(Stream)
class StreamAdmin(RecordAdmin):
    list_display = ("stream_id", "stream_type", "version")
    ordering = ("-stream_id",)
    fields = ("stream_id", "stream_type", "version", "events")
    readonly_fields = ("events",)
    search_fields = ("stream_id",)
    search_help_text = "By the whole stream id."

    def search(self, rows: Rows, term: str) -> Rows:
        stream_id = as_uuid(term)
        return rows.none() if stream_id is None else rows.filter(stream_id=stream_id)

    @admin.display(description="events, newest first")
    def events(self, stream: Stream) -> str:
        events = Event.objects.filter(stream_id=stream.stream_id).order_by("-version")
        lines = format_html_join(
            "",
            '<tr><td><a href="{}">{}</a></td><td>{}</td><td>{}</td><td>{}</td></tr>',
            (
                (
                    page_of_event(event.position),
                    event.version,
                    event.type,
                    event.actor,
                    event.recorded_at,
                )
                for event in events[:EVENTS_SHOWN]
            ),
        )
        all_events = reverse("admin:eventstore_event_changelist")
        return format_html(
            '<table>{}</table><a href="{}?q={}">All in the list of events</a>',
            lines,
            all_events,
            stream.stream_id,
        )


@admin.register(Event)
class EventAdmin(RecordAdmin):
    list_display = ("position", "recorded_at", "type", "actor", "version", "stream")
    ordering = ("-position",)
    fields = (
        "position", "stream", "version", "type", "payload", "recorded_at", "actor", "event_id",
        "command_id", "correlation_id", "causation_id", "traceparent",
    )  # fmt: skip
    readonly_fields = ("stream", "payload")
    search_fields = ("stream_id",)
    search_help_text = (
        "By the whole stream id or the position; by the whole actor or type among the newest "
        f"{MOST_SEARCHED:,} events."
    )

    def search(self, rows: Rows, term: str) -> Rows:
        stream_id = as_uuid(term)
        if stream_id is not None:
            return rows.filter(stream_id=stream_id).order_by("-version")
        if term.isdecimal():
            return rows.filter(position=int(term))
        return newest(rows).filter(Q(actor=term) | Q(type=term))

    @admin.display(description="stream")
    def stream(self, event: Event) -> str:
        page = reverse("admin:eventstore_stream_change", args=[event.stream_id])
        return format_html('<a href="{}">{}</a>', page, event.stream_id)

    @admin.display(description="payload")
    def payload(self, event: Event) -> str:
        return document(event.data)


@admin.register(Outbox)
class OutboxAdmin(RecordAdmin):
    list_display = ("position", "event")
    ordering = ("position",)
    fields = ("position", "event")
    readonly_fields = ("event",)

    @admin.display(description="event")
    def event(self, waiting: Outbox) -> str:
        return format_html('<a href="{}">the event</a>', page_of_event(waiting.position))


@admin.register(Receipt)
class ReceiptAdmin(RecordAdmin):
    list_display = ("command_id", "actor", "created_at")
    ordering = ("-id",)
    fields = ("command_id", "actor", "created_at", "what_became_of_it")
    readonly_fields = ("what_became_of_it",)
    search_fields = ("actor",)
    search_help_text = "By the whole actor."

    def search(self, rows: Rows, term: str) -> Rows:
        return rows.filter(actor=term)

    @admin.display(description="answer")
    def what_became_of_it(self, receipt: Receipt) -> str:
        return document(receipt.answer)


@admin.register(ProjectionState)
class ProjectionStateAdmin(RecordAdmin):
    list_display = ("name", "live_generation")
    ordering = ("name",)


@admin.register(Checkpoint)
class CheckpointAdmin(RecordAdmin):
    list_display = ("projection", "generation", "partition", "offset", "halted")
    ordering = ("projection", "generation", "partition")


@admin.register(DeadLetter)
class DeadLetterAdmin(RecordAdmin):
    list_display = ("parked_at", "projection", "generation", "stream_id", "version", "code")
    ordering = ("-id",)
    fields = (
        "parked_at", "projection", "generation", "code", "why", "stream_id", "version",
        "event_id", "partition", "offset", "record_key", "record",
    )  # fmt: skip
    readonly_fields = ("why", "record_key", "record")
    search_fields = ("stream_id",)
    search_help_text = f"By the whole stream id, among the newest {MOST_SEARCHED:,}."

    def search(self, rows: Rows, term: str) -> Rows:
        stream_id = as_uuid(term)
        return rows.none() if stream_id is None else newest(rows).filter(stream_id=stream_id)

    @admin.display(description="reason")
    def why(self, letter: DeadLetter) -> str:
        return format_html('<pre class="document">{}</pre>', letter.reason)

    @admin.display(description="key")
    def record_key(self, letter: DeadLetter) -> str:
        return document(letter.key)

    @admin.display(description="record")
    def record(self, letter: DeadLetter) -> str:
        return document(letter.value)


def page_of_event(position: int) -> str:
    return reverse("admin:eventstore_event_change", args=[position])


def newest(rows: Rows) -> Rows:
    """The newest rows of a table whose primary key is a growing number."""
    last = rows.model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0
    return rows.filter(pk__gt=last - MOST_SEARCHED)


def as_uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None


def document(raw: str | bytes | memoryview | None) -> str:
    return format_html('<pre class="document">{}</pre>', readable(raw))
