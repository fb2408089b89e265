"""What is refused before any page looks at it."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import get_resolver

Answer = Callable[[HttpRequest], HttpResponse]


def no_null_characters(get_response: Answer) -> Answer:
    """Middleware: 404 for an address with a NUL character, 400 for a query string with one.

    PostgreSQL stores no NUL, so nothing that is there can match one, and the driver raises
    ValueError: a 500 for what a client sent, on whichever page forgets to look. The API
    looks at its parameters by itself and answers in its own form; so do forms.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/api/"):
            if "\0" in request.path_info:
                return answer(request, 404, Http404())
            if "\0" in "".join(name + "".join(values) for name, values in request.GET.lists()):
                return answer(request, 400, BadRequest())
        return get_response(request)

    def answer(request: HttpRequest, status: int, error: Exception) -> HttpResponse:
        handler: Any = get_resolver().resolve_error_handler(status)
        found: HttpResponse = handler(request, exception=error)
        return found

    return middleware
