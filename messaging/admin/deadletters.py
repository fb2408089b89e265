"""Dead letters: to look at, to try again, to give up. As `manage.py deadletters` does it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from messaging.admin.action_admin import ActionAdmin, Button, NothingDone
from messaging.admin.dead_letter_groups import by_cause, error_of, stream_of
from messaging.admin.filters import Lately, choice
from messaging.admin.readonly_admin import Rows, as_uuid, document
from messaging.monitoring.finding import NEWEST, find_event, newest
from messaging.projections.consuming import resolving
from messaging.projections.models import DeadLetter
from messaging.projections.registry import PROJECTIONS


def retry(request: HttpRequest, letter: DeadLetter) -> str:
    retried = resolving.retry(letter)
    if not retried.applied:
        raise NothingDone(_nothing_applied(retried.parked))
    return resolving.describe(letter, retried)


def discard(request: HttpRequest, letter: DeadLetter) -> str:
    retried = resolving.discard(letter)
    rest = "" if retried is None else f" Behind it: {retried.applied:,} applied"
    waits = f", {retried.parked:,} still wait" if retried and retried.parked else ""
    return f"Discarded 1 event.{rest}{waits}{'.' if rest else ''}"


def retry_all(request: HttpRequest, _: None) -> str:
    applied = waiting = 0
    for letter in resolving.first_of_each_stream(resolving.in_order()):
        retried = resolving.retry(letter)
        applied, waiting = applied + retried.applied, waiting + retried.parked
    if not applied:
        raise NothingDone(_nothing_applied(waiting))
    return f"{applied:,} applied, {waiting:,} still wait."


def _nothing_applied(waiting: int) -> str:
    if not waiting:
        return "Nothing was applied: no event waits here any more."
    return f"Nothing was applied: {waiting:,} still wait. The error stands with each."


def at_stake(letter: DeadLetter) -> dict[str, Any]:
    return {"stream": stream_of(letter), "error": error_of(letter)}


@admin.register(DeadLetter)
class DeadLetterAdmin(ActionAdmin):
    list_filter = (Lately.by("parked_at"), choice("projection", lambda: PROJECTIONS))
    list_display = ("parked_at", "projection", "generation", "stream_id", "version", "code")
    ordering = ("-id",)
    fields = (
        "why", "readers_see", "code", "parked_at", "projection", "generation", "stream_id",
        "version", "event", "partition", "offset", "record_key", "record",
    )  # fmt: skip
    readonly_fields = ("why", "readers_see", "event", "record_key", "record")
    change_list_template = "admin/messaging/dead_letters.html"
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
            at_stake,
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

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        shown = self.has_view_permission(request)
        context = {"groups": by_cause() if shown else [], **(extra_context or {})}
        return super().changelist_view(request, context)

    @admin.display(description="error")
    def why(self, letter: DeadLetter) -> str:
        error = format_html('<strong class="error">{}</strong>', error_of(letter))
        if letter.reason.strip() == error_of(letter):
            return error
        folded = '{}<details><summary>Traceback</summary><pre class="document">{}</pre></details>'
        return format_html(folded, error, letter.reason)

    @admin.display(description="readers see")
    def readers_see(self, letter: DeadLetter) -> str:
        stream = stream_of(letter)
        waits = f"; {stream.behind:,} later wait behind this event" if stream.behind else ""
        return f"{stream.seen}{waits}"

    @admin.display(description="event id")
    def event(self, letter: DeadLetter) -> str:
        found = find_event(letter.event_id) if letter.event_id else None
        if found is None:
            return str(letter.event_id or "-")
        address = reverse("admin:messaging_event_trace", args=[found.pk])
        return format_html('<a href="{}">{}</a>', address, letter.event_id)

    @admin.display(description="key")
    def record_key(self, letter: DeadLetter) -> str:
        return document(letter.key)

    @admin.display(description="record")
    def record(self, letter: Any) -> str:
        return document(letter.value)
