"""What pages in a browser need: one's own changes are waited for, and refusals are pages.

The session remembers what its person has just changed (stream, version), so every tab
shows it, and a page that cannot says so and catches up by itself.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from messaging.exceptions import NeedsNewerCode, ReadSideBehind, Refused
from messaging.liveness import missing
from messaging.projections.registry import Projection
from messaging.projections.waiting import reached, wait_for
from messaging.tokens import Position
from messaging.transient import is_away
from messaging.unavailable import unavailable

KEY = "changed"  # in the session: [[stream, version, seconds since 1970], ...]
KEEP_S = 120  # longer than the read side ever lags while its workers are alive
MOST = 10

View = Callable[..., HttpResponse]


class Behind(NamedTuple):
    """The page does not show yet what its person has changed."""

    start: list[str]  # the commands of workers that are missing


def remember(request: HttpRequest, changed: Position) -> None:
    """Let the pages of this session wait until they show this version of the stream."""
    stream = changed.stream_id.hex
    others = [entry for entry in _young(request) if entry[0] != stream]
    request.session[KEY] = [*others, [stream, changed.version, int(time.time())]][-MOST:]


def behind(request: HttpRequest, *projections: Projection) -> Behind | None:
    """Wait until the projections show what this session has changed; None if they do."""
    for stream, version, _ in _young(request):
        position = Position(UUID(hex=stream), version)
        for projection in projections:
            if reached(projection, position):
                continue
            if start := missing():
                return Behind(start)  # waiting would be in vain
            try:
                wait_for(projection, position)
            except ReadSideBehind:
                return Behind(missing())
    return None


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
    if is_fragment(request):
        answer["HX-Retarget"], answer["HX-Reswap"] = "#notice", "innerHTML"
    return answer


def is_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks, for a part of the page that is there."""
    return request.headers.get("HX-Request") == "true"


def _young(request: HttpRequest) -> list[Any]:
    oldest = time.time() - KEEP_S
    return [entry for entry in request.session.get(KEY, []) if entry[2] > oldest]
