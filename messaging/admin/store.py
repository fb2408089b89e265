"""The write side: streams, events, what waits for the relay, and receipts."""

import re
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join

from messaging.admin.filters import Lately, choice
from messaging.admin.readonly_admin import (
    TO_THE_SECOND,
    ReadOnlyAdmin,
    Rows,
    as_uuid,
    document,
    page_of,
)
from messaging.eventstore.models import Event, Outbox, Receipt, Stream
from messaging.message import EVENTS, OWN_EVENTS
from messaging.monitoring import trace
from messaging.monitoring.finding import NEWEST, newest

POSITION = re.compile("[0-9]{1,18}", re.ASCII)  # 64 bits
EVENTS_SHOWN = 100  # on the page of their stream


@admin.register(Stream)
class StreamAdmin(ReadOnlyAdmin):
    task = "record"
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
                    page_of(Event, event.position),
                    event.version,
                    event.type,
                    event.actor,
                    f"{event.recorded_at:{TO_THE_SECOND}}",
                )
                for event in events[:EVENTS_SHOWN]
            ),
        )
        all_events = reverse("admin:messaging_event_changelist")
        return format_html(
            '<table>{}</table><a href="{}?q={}">All in the list of events</a>',
            lines,
            all_events,
            stream.stream_id,
        )


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    task = "record"
    list_display = ("position", "recorded_at", "type", "actor", "version", "stream")
    list_filter = (Lately.by("recorded_at"), choice("type", lambda: (*EVENTS, *OWN_EVENTS)))
    ordering = ("-position",)
    fields = (
        "position", "followed", "stream", "version", "type", "payload", "recorded_at", "actor",
        "event_id", "command_id", "correlation_id", "causation_id", "traceparent",
    )  # fmt: skip
    readonly_fields = ("followed", "stream", "payload")
    search_fields = ("stream_id",)
    search_help_text = (
        "By the whole stream id or the position; by the whole actor or type among the newest "
        f"{NEWEST:,} events."
    )

    def search(self, rows: Rows, term: str) -> Rows:
        stream_id = as_uuid(term)
        if stream_id is not None:
            return rows.filter(stream_id=stream_id).order_by("-version")
        if POSITION.fullmatch(term):
            return rows.filter(position=int(term))
        return newest(rows).filter(Q(actor=term) | Q(type=term))

    @admin.display(description="stream")
    def stream(self, event: Event) -> str:
        return format_html('<a href="{}">{}</a>', page_of(Stream, event.stream_id), event.stream_id)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.trace_view)
        return [
            path("<int:position>/trace/", view, name="messaging_event_trace"),
            *super().get_urls(),
        ]

    def trace_view(self, request: HttpRequest, position: int) -> HttpResponse:
        """What one command did, from its receipt to the rows."""
        if not request.user.has_perms(trace.rights()):
            raise PermissionDenied
        event = get_object_or_404(Event, pk=position)
        context = {
            **self.admin_site.each_context(request),
            "title": "From the command to the rows",
            "opts": self.opts,
            "trace": trace.trace_of(event),
        }
        return render(request, "admin/messaging/trace.html", context)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Without a link that leads to a refusal."""
        fields = super().get_fields(request, obj)
        may = request.user.has_perms(trace.rights())
        return fields if may else [name for name in fields if name != "followed"]

    @admin.display(description="followed")
    def followed(self, event: Event) -> str:
        page = reverse("admin:messaging_event_trace", args=[event.position])
        return format_html('<a href="{}">From its command to the rows that it changed</a>', page)

    @admin.display(description="payload")
    def payload(self, event: Event) -> str:
        return document(event.data)


@admin.register(Outbox)
class OutboxAdmin(ReadOnlyAdmin):
    list_display = ("position", "event")
    ordering = ("position",)
    fields = ("position", "event")
    readonly_fields = ("event",)

    @admin.display(description="event")
    def event(self, waiting: Outbox) -> str:
        return format_html('<a href="{}">the event</a>', page_of(Event, waiting.position))


@admin.register(Receipt)
class ReceiptAdmin(ReadOnlyAdmin):
    task = "record"
    list_display = ("command_id", "actor", "created_at")
    list_filter = (Lately.by("created_at"),)
    ordering = ("-id",)
    fields = ("command_id", "actor", "created_at", "what_became_of_it")
    readonly_fields = ("what_became_of_it",)
    search_fields = ("command_id",)
    search_help_text = (
        f"By the whole command id, or by the whole actor among the newest {NEWEST:,}."
    )

    def search(self, rows: Rows, term: str) -> Rows:
        command_id = as_uuid(term)
        if command_id is not None:
            return rows.filter(command_id=command_id)
        return newest(rows).filter(actor=term)

    @admin.display(description="answer")
    def what_became_of_it(self, receipt: Receipt) -> str:
        return document(receipt.outcome)
