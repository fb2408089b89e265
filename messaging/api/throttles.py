"""How often one person, or one address, may ask: counted in fixed windows of a minute.

DRF's own throttle keeps the time of each request in one cache entry, which at thousands a
minute costs more than answering.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

WINDOW_S = 60


class Rate(NamedTuple):
    limit: int
    remaining: int
    reset_s: int  # when the next window begins


class PersonThrottle(BaseThrottle):
    """By person; who is not signed in, by address."""

    def allow_request(self, request: Request, view: Any) -> bool:
        limit = settings.API_RATE
        if not limit:
            return True
        window, used_s = divmod(int(time.time()), WINDOW_S)
        who = f"person:{request.user.pk}" if request.user.is_authenticated else None
        key = f"rate:{who or self.get_ident(request)}:{window}"
        cache.add(key, 0, timeout=WINDOW_S)
        try:
            count = cache.incr(key)
        except ValueError:  # it has just expired
            count = 1
        self._rate = Rate(limit, max(0, limit - count), WINDOW_S - used_s)
        request._request.rate = self._rate  # type: ignore[attr-defined]  # for the headers
        return count <= limit

    def wait(self) -> float:
        return self._rate.reset_s


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
