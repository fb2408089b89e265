"""Errors outside of the API's own views: under /api/ in its form, elsewhere as pages."""

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin
from django.views import defaults

from messaging import drop_connections, error_answer, is_away

API_PREFIX = "/api/"
RETRY_AFTER_S = 5


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(API_PREFIX):
        return error_answer(404, "not_found", "Not found.")
    return defaults.page_not_found(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(API_PREFIX):
        return error_answer(403, "permission_denied", "You may not do this.")
    return defaults.permission_denied(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(API_PREFIX):
        if isinstance(exception, RequestDataTooBig):
            return error_answer(413, "too_large", "The body is too large.")
        return error_answer(400, "invalid_request", "The request cannot be read.")
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path.startswith(API_PREFIX):
        return error_answer(500, "error", "The server failed. The error was logged.")
    return defaults.server_error(request)


def unavailable(request: HttpRequest) -> HttpResponse:
    """503 while a database or the bus is away, and when to try again; the next request connects
    again."""
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
