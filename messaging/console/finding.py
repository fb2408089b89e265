"""From an id to the page that it leads to: whatever a line of a log, a client or a reader names."""

from typing import NamedTuple
from uuid import UUID

from django.contrib.admin.utils import quote
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from messaging.eventstore.models import Event, Receipt, Stream
from messaging.monitoring import finding, trace

MAX_SHOWN = 60  # characters of what was asked for
EXAMPLE = "01a20892-7c3e-7d41-9f56-3a1b2c4d5e6f"


class Lead(NamedTuple):
    """Where an id leads to, or why nowhere."""

    url: str = ""
    answer: str = ""


def lead(request: HttpRequest, term: str) -> Lead:
    """Look an id up among what the person may view: of a thing, which is its stream's, of an event,
    a command or a correlation."""
    try:
        some_id = UUID(term)
    except ValueError:
        shown = ascii(term[:MAX_SHOWN])[1:-1] + ("..." if len(term) > MAX_SHOWN else "")
        return Lead(answer=f"{shown} is no id. An id has 32 hexadecimal digits: {EXAMPLE}.")
    if _may(request, Stream) and Stream.objects.filter(pk=some_id).exists():
        return Lead(_page(Stream, some_id))
    if _may(request, Event) and (event := finding.find_event(some_id)) is not None:
        followed = reverse("admin:messaging_event_trace", args=[event.position])
        may = request.user.has_perms(trace.rights())
        return Lead(followed if may else _page(Event, event.position))
    if _may(request, Receipt) and (receipts := finding.receipts_of(some_id)):
        return Lead(_page(Receipt, receipts[0].pk))
    return Lead(answer=_nothing(some_id))


def may_search(request: HttpRequest) -> bool:
    return any(_may(request, model) for model in (Stream, Event, Receipt))


def _nothing(some_id: UUID) -> str:
    return (
        f"Nothing that you may view has the id {some_id}: no stream, no command with a receipt, "
        f"and no event, command or correlation where its time leads to or among the newest "
        f"{finding.NEWEST:,} events. manage.py trace {some_id} reads all of them."
    )


def _may(request: HttpRequest, model: type[Model]) -> bool:
    return request.user.has_perm(f"messaging.view_{model._meta.model_name}")


def _page(model: type[Model], key: object) -> str:
    return reverse(f"admin:messaging_{model._meta.model_name}_change", args=[quote(str(key))])
