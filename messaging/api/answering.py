"""What a request of the API does and what it gets, by whichever way it comes: by REST framework's
view, or by the short way before that (messaging/api/short_way.py).

What came of its command or query is kept on the request. So the view can say why the short way
was refused, and nothing is done twice.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes, urlencode

from django.http import HttpRequest, QueryDict
from rest_framework.exceptions import ParseError, ValidationError

from messaging import mediator
from messaging.access import Asker
from messaging.api.headers import etag, idempotency, if_match
from messaging.api.openapi import TOKEN_HEADER, TOKEN_PARAMETER
from messaging.api.serializers import key_errors
from messaging.http import answer_headers, context_of
from messaging.message import Context, Query, Result
from messaging.projections.serving import consistency_token
from messaging.projections.serving.paging import Page

T = TypeVar("T")

CONTEXT, OUTCOME = "postlog_context", "postlog_outcome"


class Answer(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


def context_once(request: HttpRequest, sender: Asker) -> Context:
    """The context of the request's command, of one trace. Raises `Invalid`."""
    return _once(request, CONTEXT, lambda: context_of(request.headers, sender))


def carry_out(request: HttpRequest, command: object, context: Context) -> Answer:
    """Send the request's command. Raises as `mediator.send` does, and `ValidationError` for a
    header that is wrong."""

    def send() -> Result:
        conditions = {"if_version": if_match(request), **idempotency(request, command)}
        return mediator.send(command, replace(context, **conditions))

    result = _once(request, OUTCOME, send)
    ids = {name: str(value) for name, value in result.ids.items()}
    token = consistency_token.mint(result.positions)
    headers = {"ETag": etag(result.version), TOKEN_HEADER: token}
    return Answer(
        201 if result.created else 200,
        {**ids, "version": result.version, "consistency_token": token},
        {**headers, **answer_headers(context, result)},
    )


def look_up(
    request: HttpRequest, query: Query[Any], params: QueryDict, token: str | None, asker: Asker
) -> Answer:
    """Answer the request's query. Raises as `mediator.ask` does."""

    def ask() -> Any:
        reached = consistency_token.read(token) if token is not None else ()
        return mediator.ask(query, reached, asker)

    found = _once(request, OUTCOME, ask)
    if isinstance(found, Page):
        found = {
            "next": _page_url(request, params, found.next),
            "previous": _page_url(request, params, found.previous),
            "results": found.results,
        }
    version = getattr(found, "version", None)  # of one thing; a page's ETag is its content's
    headers = {"ETag": etag(version)} if version is not None else {}
    if mediator.is_personal(type(query)):
        headers |= {"Cache-Control": "private", "Vary": "Authorization, Cookie"}
    return Answer(200, found, headers)


def parameters(request: HttpRequest) -> QueryDict:
    """The query string, of which keys may be taken out. Django would replace what is not UTF-8."""
    try:
        unquote_to_bytes(request.META.get("QUERY_STRING", "").encode("latin-1")).decode()
    except UnicodeError:
        raise ParseError("The query string is not valid UTF-8.") from None
    return copy(request.GET)


def sent_token(request: HttpRequest, params: QueryDict) -> str | None:
    """The token of the header or the parameter, which is taken out of `params`."""
    sent = params.pop(TOKEN_PARAMETER, [])
    header = request.headers.get(TOKEN_HEADER)
    if header is not None and sent != [header]:
        sent = [*sent, header]
    if len(sent) > 1:
        raise ValidationError(key_errors([TOKEN_PARAMETER], "repeated_field", "Send this once."))
    return sent[0] if sent else None


def _page_url(request: HttpRequest, params: QueryDict, cursor: str | None) -> str | None:
    """The address of the page at the cursor, with the other parameters as they were."""
    if cursor is None:
        return None
    query = urlencode({**params.dict(), "cursor": cursor})
    return request.build_absolute_uri(f"{request.path}?{query}")


def _once(request: HttpRequest, what: str, work: Callable[[], T]) -> T:
    """What came of the work when it was first done for this request: a result or an exception."""
    kept = vars(request)
    if what not in kept:
        try:
            kept[what] = work()
        except Exception as error:
            kept[what] = error
            raise
    elif isinstance(kept[what], Exception):
        raise kept[what]
    found: T = kept[what]
    return found
