"""The short way of a request of the API, before REST framework's view and what only pages need.

It answers with success, or not at all: what it cannot, or must not, answer goes on as it is to the
view, which says why. It does nothing by itself that the view does too: the readers of messages,
`carry_out` and `look_up`, the conditions and the renderer are the view's own, and who sends it
and how often they may is asked of the view's own classes.
See docs/decisions/0035-a-short-way-for-the-api.md
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any

from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.middleware.http import ConditionalGetMiddleware
from django.urls import Resolver404, URLResolver, get_resolver
from django.utils.cache import patch_vary_headers
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.settings import api_settings

from messaging import access
from messaging.access import Asker
from messaging.api.answering import (
    Answer,
    carry_out,
    context_once,
    look_up,
    parameters,
    sent_token,
)
from messaging.api.parsers import StrictJSONParser
from messaging.api.renderers import FastJSONRenderer
from messaging.api.serializers import validated
from messaging.api.views import ApiView, CommandView, MessageView, Permitted, QueryView

View = Callable[[HttpRequest], HttpResponse]

MAX_KEPT = 256  # addresses, and values of Accept, that are remembered
MAX_ACCEPT_LENGTH = 256
JSON = FastJSONRenderer.media_type

_renderer, _conditional = FastJSONRenderer(), ConditionalGetMiddleware(lambda _: HttpResponse())


@dataclass(frozen=True, eq=False)
class Endpoint:
    """What a view that the registry has made does, where nothing of it is a project's own."""

    view: Any  # the function that is routed to; in a decorator it is another one
    cls: type[CommandView] | type[QueryView]
    method: str
    headers: dict[str, str]  # of each of its answers

    def answer(self, request: HttpRequest, asker: Asker) -> Answer:
        if issubclass(self.cls, CommandView):
            context = context_once(request, asker)
            command = validated(self.cls.message_type, _sent(request))
            return carry_out(request, command, context)
        params = parameters(request)
        token = sent_token(request, params)
        return look_up(request, validated(self.cls.message_type, params), params, token, asker)


def short_way(get_response: View) -> View:
    """Middleware, behind those that all answers need and before that of sessions."""

    def middleware(request: HttpRequest) -> HttpResponse:
        try:
            answer = _answer(request)
        except Exception:  # the view meets it too, or is handed it, and finds words
            answer = None
        return get_response(request) if answer is None else answer

    return middleware


def offer(view: Any, cls: type[Any]) -> Any:
    """Let the short way answer for the view, as far as it can."""
    if issubclass(cls, CommandView | QueryView) and _is_plain(cls):
        method = "POST" if issubclass(cls, CommandView) else "GET"
        instance = cls()
        instance.setup(HttpRequest())
        headers = instance.default_response_headers
        view.short_way = Endpoint(view, cls, method, {"Allow": headers["Allow"]})
    return view


def _is_plain(cls: type[MessageView]) -> bool:
    """Whether all that decides about a request is either the base's own or says by itself what the
    short way has to know: `identify` of an authentication class, `admits` of a throttle."""
    own = (BasicAuthentication, SessionAuthentication)  # which look at no other header
    return (
        all(hasattr(one, "identify") or issubclass(one, own) for one in cls.authentication_classes)
        and all(hasattr(one, "admits") for one in cls.throttle_classes)
        and cls.permission_classes in ([AllowAny], [Permitted])
        and cls.renderer_classes is MessageView.renderer_classes
        and cls.parser_classes is ApiView.parser_classes
        and cls.content_negotiation_class is DefaultContentNegotiation
        and cls.versioning_class is None
    )


def _answer(request: HttpRequest) -> HttpResponse | None:
    """None: the view has to answer."""
    endpoint = _endpoint_of(request)
    asker = None if endpoint is None else _asker(request, endpoint.cls)
    if endpoint is None or asker is None or not _may(request, endpoint.cls, asker):
        return None
    answer = endpoint.answer(request, asker)
    body, headers = _renderer.render(answer.body), answer.headers | endpoint.headers
    response: Any = HttpResponse(body, JSON, answer.status, headers=headers)
    patch_vary_headers(response, _varies_by(endpoint.cls, asker))
    if endpoint.method == "GET":
        response = _conditional.process_response(request, response)
    return response if response.status_code in (200, 201, 304) else None


def _endpoint_of(request: HttpRequest) -> Endpoint | None:
    said = request.META.get
    if said("HTTP_COOKIE") or not _wants_json(said("HTTP_ACCEPT", "*/*")):
        return None
    endpoint = _endpoint(get_resolver(getattr(request, "urlconf", None)), request.path_info)
    if endpoint is None or endpoint.method != request.method:
        return None
    return None if api_settings.URL_FORMAT_OVERRIDE in request.GET else endpoint


@lru_cache(MAX_KEPT)
def _endpoint(resolver: URLResolver, path: str) -> Endpoint | None:
    try:
        match = resolver.resolve(path)
    except Resolver404:
        return None
    found: Endpoint | None = getattr(match.func, "short_way", None)
    if found is None or found.view is not match.func or match.args or match.kwargs:
        return None
    return found


def _wants_json(accept: str) -> bool:
    return len(accept) <= MAX_ACCEPT_LENGTH and _negotiated(accept)


@lru_cache(MAX_KEPT)
def _negotiated(accept: str) -> bool:
    """As REST framework negotiates, which looks at nothing else."""
    request, view = HttpRequest(), MessageView()
    request.META["HTTP_ACCEPT"] = accept
    try:
        found = DefaultContentNegotiation().select_renderer(Request(request), view.get_renderers())
    except NotAcceptable:
        return False
    return isinstance(found[0], FastJSONRenderer)


def _asker(request: HttpRequest, cls: type[MessageView]) -> Any:
    """Who sends it; None: the view's classes have to look."""
    if "HTTP_AUTHORIZATION" not in request.META:
        nobody: Any = api_settings.UNAUTHENTICATED_USER
        return nobody and nobody()
    for one in cls.authentication_classes:
        if (identify := getattr(one(), "identify", None)) and (found := identify(request)):
            return found
    return None


def _may(request: HttpRequest, cls: type[MessageView], asker: Asker) -> bool:
    """In the order of the view: who may not is not counted."""
    throttles: list[Any] = [one() for one in cls.throttle_classes]
    return access.permits(cls.who, asker) and all(one.admits(request, asker) for one in throttles)


def _varies_by(cls: type[MessageView], asker: Asker) -> list[str]:
    """A session is looked for where nobody has signed in by a header."""
    by_session = any(issubclass(one, SessionAuthentication) for one in cls.authentication_classes)
    return ["Accept", "Cookie"] if by_session and not asker.is_authenticated else ["Accept"]


def _sent(request: HttpRequest) -> dict[str, Any]:
    """The JSON of the body. Raises where there is none, or something else."""
    if request.content_type != StrictJSONParser.media_type:
        raise ValueError("The view knows what else may be sent.")
    body = _body(request)
    if not body:
        raise ValueError("The view knows what nothing stands for.")
    return StrictJSONParser().parse(BytesIO(body), context={"request": request})


def _body(request: Any) -> bytes:
    try:
        found: bytes = request.body
    except UnreadablePostError as error:
        # So that the view meets the same error when it reads the body.
        request._stream, request._read_started = _Broken(error), False
        raise
    return found


class _Broken:
    """A body that did not arrive, to whoever reads it again."""

    def __init__(self, error: UnreadablePostError) -> None:
        self._error = error

    def read(self, *args: Any) -> bytes:
        raise self._error
