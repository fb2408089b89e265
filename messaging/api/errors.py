"""Every error of a view in one form: {"type", "errors": [{"code", "detail", "attr"}]}.

Never a 5xx for what a client sent.
"""

from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import QueryDict, UnreadablePostError
from django.utils.log import log_response
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework.exceptions import (
    APIException,
    ErrorDetail,
    ParseError,
    Throttled,
    UnsupportedMediaType,
    ValidationError,
)
from rest_framework.response import Response
from rest_framework.utils.serializer_helpers import ReturnDict

from messaging.api.parsers import TooLarge
from messaging.dialect.psycopg import sqlstate
from messaging.exceptions import (
    DomainError,
    NeedsNewerCode,
    ReadSideBehind,
    StreamBusy,
    TooManyRequests,
)
from messaging.transient import CANCELLED, READ_ONLY, drop_connections, is_away, reason

KINDS_OF_BODIES = "Send application/json, or application/x-www-form-urlencoded, as Content-Type."


class Unavailable(APIException):
    status_code = 503
    wait = 1  # seconds, in Retry-After

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail, code)


class Refusal(APIException):
    """A refusal by the domain that is not about a wrong value: 403, 404, 409."""

    def __init__(self, refused: DomainError) -> None:
        super().__init__(_details(refused))
        self.status_code = refused.status


class Handler(ExceptionHandler):
    def convert_known_exceptions(self, exc: Exception) -> Exception:
        if isinstance(exc, TooManyRequests):
            return Throttled(exc.wait_s)
        if isinstance(exc, DomainError):
            return refusal(exc)
        if isinstance(exc, RequestDataTooBig):
            return TooLarge()
        if isinstance(exc, SuspiciousOperation):
            return ValidationError(str(exc), code="invalid_request")
        if isinstance(exc, ReadSideBehind):
            return Unavailable("read_side_behind", str(exc))
        if isinstance(exc, NeedsNewerCode):
            return Unavailable("needs_newer_code", "A deployment is under way. Try again.")
        if isinstance(exc, UnreadablePostError):
            return ParseError("The body did not arrive.")
        if isinstance(exc, UnsupportedMediaType):  # DRF's says again all that was sent
            return UnsupportedMediaType("", KINDS_OF_BODIES)
        if is_away(exc):
            drop_connections()
            return Unavailable("unavailable", _why(exc))
        return super().convert_known_exceptions(exc)

    def report_exception(self, exc: APIException, response: Response) -> None:
        """A 503 that is meant is one line: a traceback for each request hides what matters."""
        request = self.context["request"]
        if not isinstance(exc, Unavailable) or request is None:
            super().report_exception(exc, response)
            return
        log_response(
            "%s: %s: %s",
            response.reason_phrase,
            request.path,
            reason(self.exc),
            response=response,
            request=request._request,
            level="warning",
        )

    def get_response(self, exc: APIException, data: dict[str, Any]) -> Response:
        response: Response = super().get_response(exc, data)
        serializer = getattr(exc, "serializer", None) or getattr(exc.detail, "serializer", None)
        if serializer is not None and isinstance(serializer.initial_data, QueryDict):
            # The browsable form takes its text and messages from here; the standard form
            # of errors leaves it out. Not after JSON: what was sent may not fit in a page.
            response.data = ReturnDict(response.data, serializer=serializer)
        return response


def _why(away: Exception) -> str:
    if sqlstate(away) == READ_ONLY:
        return "The database is read-only now. Try again; if it is a replica, ask on the primary."
    if isinstance(away, StreamBusy):
        return str(away)
    if sqlstate(away) == CANCELLED:
        return "This took too long and was ended. Try again, or ask for less."
    return "A server behind this one does not answer. Try again."


def refusal(refused: DomainError, serializer: Any = None) -> APIException:
    """A refusal by the domain as an error of the API; with the serializer, forms keep the text."""
    is_invalid = refused.status == 400
    error = ValidationError(_details(refused)) if is_invalid else Refusal(refused)
    if serializer is not None:
        serializer._errors = error.detail if isinstance(error.detail, dict) else {}
        error.serializer = serializer  # type: ignore[union-attr]  # for Handler.get_response
    return error


def _details(refused: DomainError) -> Any:
    detail = ErrorDetail(refused.detail, refused.code)
    return {refused.attr: [detail]} if refused.attr else [detail]
