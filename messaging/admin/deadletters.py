"""Dead letters: to look at, to try again, to give up. As `manage.py deadletters` does it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html

from messaging.admin.action_admin import ActionAdmin, Button
from messaging.admin.filters import Lately, choice
from messaging.admin.readonly_admin import Rows, as_uuid, document
from messaging.monitoring.finding import NEWEST, newest
from messaging.projections.consuming import resolving
from messaging.projections.models import DeadLetter
from messaging.projections.registry import PROJECTIONS


def retry(request: HttpRequest, letter: DeadLetter) -> str:
    return resolving.describe(letter, resolving.retry(letter))


def discard(request: HttpRequest, letter: DeadLetter) -> str:
    retried = resolving.discard(letter)
    rest = "" if retried is None else " " + resolving.describe(letter, retried)
    return f"Discarded.{rest}"


def retry_all(request: HttpRequest, _: None) -> str:
    applied = waiting = 0
    for letter in resolving.first_of_each_stream(resolving.in_order()):
        retried = resolving.retry(letter)
        applied, waiting = applied + retried.applied, waiting + retried.parked
    return f"{applied:,} applied, {waiting:,} still wait."


@admin.register(DeadLetter)
class DeadLetterAdmin(ActionAdmin):
    list_filter = (Lately.by("parked_at"), choice("projection", lambda: PROJECTIONS))
    list_display = ("parked_at", "projection", "generation", "stream_id", "version", "code")
    ordering = ("-id",)
    fields = (
        "parked_at", "projection", "generation", "code", "why", "stream_id", "version",
        "event_id", "partition", "offset", "record_key", "record",
    )  # fmt: skip
    readonly_fields = ("why", "record_key", "record")
    search_fields = ("stream_id",)
    search_help_text = f"By the whole stream id, among the newest {NEWEST:,}."
    row_buttons = (
        Button("retry", "Retry", "change", "Apply the stream's waiting events in order.", retry),
        Button(
            "discard",
            "Discard",
            "delete",
            "Discard this event for good: its stream continues without it, also when rebuilt.",
            discard,
        ),
    )
    list_buttons = (
        Button(
            "retry-all", "Retry all", "change", "Apply every waiting stream in order.", retry_all
        ),
    )

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
    def record(self, letter: Any) -> str:
        return document(letter.value)
