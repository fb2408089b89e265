"""The answer while a database or the bus is away: 503, and when to try again."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

from messaging.api.answers import API_PREFIX, error_answer
from messaging.transient import drop_connections, is_away

RETRY_AFTER_S = 5


def unavailable(request: HttpRequest) -> HttpResponse:
    """The page or, under /api/, the JSON; the next request connects again."""
    drop_connections()
    if request.path.startswith(API_PREFIX):
        detail = "A server behind this one does not answer. Try again."
        answer: HttpResponse = error_answer(503, "unavailable", detail)
    else:
        answer = render(request, "unavailable.html", status=503)
    answer["Retry-After"] = str(RETRY_AFTER_S)
    return answer


class UnavailableMiddleware(MiddlewareMixin):
    """Answers 503 for every view, Django's own included, that finds a server away."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return unavailable(request) if is_away(error) else None
