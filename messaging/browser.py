"""What pages in a browser need: one's own changes are waited for, and refusals are pages.

What a person has just changed is remembered (stream, version), so every tab shows it, and
a page that cannot says so and catches up by itself.
"""

from collections.abc import Callable
from functools import wraps
from typing import NamedTuple
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from messaging.api.unavailable import unavailable
from messaging.exceptions import NeedsNewerCode, ReadSideBehind, Refused, TooManyRequests
from messaging.projections.registry import Projection
from messaging.projections.serving import own_changes
from messaging.projections.serving.consistency_token import Position
from messaging.projections.serving.waiting import not_reached, wait_for
from messaging.transient import is_away
from messaging.workers.heartbeats import missing

View = Callable[..., HttpResponse]


class Behind(NamedTuple):
    """The page does not show yet what its person has changed."""

    start: list[str]  # the commands of workers that are missing
    streams: frozenset[UUID]  # that it does not show as they are


def remember(request: HttpRequest, changed: Position) -> None:
    """Let this person's pages wait until they show this version of the stream."""
    if not request.user.is_authenticated and not request.session.session_key:
        request.session.create()
    own_changes.remember(_owner(request), changed)


def behind(request: HttpRequest, *projections: Projection) -> Behind | None:
    """Wait until the projections show what this person has changed; None if they do."""
    owner = _owner(request)
    changes = dict(own_changes.lately(owner)) if owner else {}
    start: list[str] | None = None
    late: set[UUID] = set()
    patient = True  # until one has been waited for in vain: the page waits for that long once
    for projection in projections:
        for position in not_reached(projection, list(changes)):
            if start is None:
                start = missing()
            if patient and changes[position] and not start:
                if _comes(projection, position):
                    continue
                patient = False
            late.add(position.stream_id)
    return Behind(start or [], frozenset(late)) if late else None


def _comes(projection: Projection, position: Position) -> bool:
    try:
        wait_for(projection, position)
    except ReadSideBehind:
        return False
    return True


def page(view: View) -> View:
    """A view whose refusals become pages, as do servers that are away."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            answer = view(request, *args, **kwargs)
        except Refused as refused:
            answer = refusal(request, refused)
        except NeedsNewerCode:
            answer = unavailable(request)
        except Exception as error:
            if not is_away(error):
                raise
            answer = unavailable(request)
        patch_vary_headers(answer, ["HX-Request"])  # a page and its part have one address
        return answer

    return wrapped


def refusal(request: HttpRequest, refused: Refused) -> HttpResponse:
    """Why not: a page, or for htmx a notice on the page that is there."""
    layout = "fragment.html" if is_fragment(request) else "base.html"
    context = {"refused": refused, "layout": layout}
    answer = render(request, "refused.html", context, status=refused.status)
    if isinstance(refused, TooManyRequests):
        answer["Retry-After"] = str(refused.wait_s)
    if is_fragment(request):
        answer["HX-Retarget"], answer["HX-Reswap"] = "#notice", "innerHTML"
    return answer


def is_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks, for a part of the page that is there."""
    return request.headers.get("HX-Request") == "true"


def _owner(request: HttpRequest) -> str:
    """Whose changes: the person's, in all their browsers and over a sign-out; of nobody known,
    the session's; "" without one."""
    if request.user.is_authenticated:
        return f"person:{request.user.pk}"
    key = request.session.session_key
    return f"session:{key}" if key else ""
