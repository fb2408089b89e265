"""How often one person, or one address, may ask: requests of the API and forms of the pages.

DRF's own throttle keeps the time of each request in one cache entry, which at thousands a
minute costs more than answering.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from web import counters
from web.addresses import network_of

REQUESTS = counters.Window("requests", 60)


class Rate(NamedTuple):
    limit: int
    remaining: int
    reset_s: int  # when the next window begins
    exceeded: bool


def count_request(request: HttpRequest, user: Any) -> Rate | None:
    """Count a request, once; by person, or by address who is not signed in. None: there is no
    limit."""
    limit = settings.API_RATE
    counted: Rate | None = getattr(request, "rate", None)
    if not limit or counted is not None:
        return counted
    who = f"person:{user.pk}" if user.is_authenticated else network_of(request)
    count, reset_s, _ = counters.add(REQUESTS, who)
    rate = Rate(limit, max(0, limit - count), reset_s, count > limit)
    request.rate = rate  # type: ignore[attr-defined]  # for the headers
    return rate


class PersonThrottle(BaseThrottle):
    """For the API's views."""

    def admits(self, request: HttpRequest, user: Any) -> bool:
        """For the short way too: it asks before the view does."""
        self._rate = count_request(request, user)
        return self._rate is None or not self._rate.exceeded

    def allow_request(self, request: Request, view: Any) -> bool:
        return self.admits(request._request, request.user)

    def wait(self) -> float | None:
        return self._rate and self._rate.reset_s


def rate_headers(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: says in each answer how much is left (draft-ietf-httpapi-ratelimit-headers,
    in the form that its third version has and clients know)."""

    def middleware(request: HttpRequest) -> HttpResponse:
        answer = get_response(request)
        rate: Rate | None = getattr(request, "rate", None)
        if rate is not None:
            answer["RateLimit-Limit"] = str(rate.limit)
            answer["RateLimit-Remaining"] = str(rate.remaining)
            answer["RateLimit-Reset"] = str(rate.reset_s)
        return answer

    return middleware
