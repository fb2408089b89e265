"""What is refused before any page looks at it."""

from collections.abc import Callable
from typing import Any

from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import get_resolver

from messaging import TooManyRequests, is_away
from web.errors import API_PREFIX, unavailable
from web.pages import refusal
from web.throttles import count_request

SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")

Answer = Callable[[HttpRequest], HttpResponse]


class ContentPolicy(CSPMiddleware):
    """django-csp's, which makes the policy anew for each answer, twice: a tenth of the cost of a
    query. Unless a view or a nonce changes it, it is the same for all."""

    _made: tuple[Any, str] = (None, "")  # from which settings, and what

    def process_response(self, request: Any, response: Any) -> Any:
        given = settings.CONTENT_SECURITY_POLICY
        if not _is_for_all(given) or _is_its_own(request, response):
            return super().process_response(request, response)
        made = self._made
        if made[0] is not given:
            made = self._made = given, build_policy()
        response.headers[HEADER] = made[1]
        return response


def _is_for_all(given: dict[str, Any]) -> bool:
    """With DEBUG, Django's own pages of errors have none."""
    only_reported = getattr(settings, "CONTENT_SECURITY_POLICY_REPORT_ONLY", None)
    return given.keys() == {"DIRECTIVES"} and not only_reported and not settings.DEBUG


def _is_its_own(request: HttpRequest, response: HttpResponse) -> bool:
    if HEADER in response or hasattr(request, "_csp_nonce"):
        return True
    return any(name.startswith("_csp") for name in vars(response))  # what decorators note


def no_null_characters(get_response: Answer) -> Answer:
    """Middleware: 404 for an address with a NUL character, 400 for a query string with one.

    PostgreSQL stores no NUL, so nothing that is there can match one, and the driver raises
    ValueError: a 500 for what a client sent, on whichever page forgets to look. The API
    looks at its parameters by itself and answers in its own form; so do forms.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(API_PREFIX):
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


class LimitForms:
    """Middleware: forms count as requests of the API do, by the same person or address. 429 as a
    page for what is too many, here or in a view (a sign-in, a sign-up)."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in SAFE or request.path_info.startswith(API_PREFIX):
            return self._get_response(request)
        try:
            rate = count_request(request, request.user)
        except Exception as error:  # whose it is, a database tells
            if not is_away(error):
                raise
            return unavailable(request)
        if rate is not None and rate.exceeded:
            detail = f"You send too much at once. Try again in {rate.reset_s} seconds."
            return refusal(request, TooManyRequests(detail, rate.reset_s))
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return refusal(request, error) if isinstance(error, TooManyRequests) else None
