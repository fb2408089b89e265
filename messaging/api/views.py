"""Views made from the registry: a registered command or query is an endpoint."""

from dataclasses import replace
from typing import Any, ClassVar, NoReturn
from urllib.parse import unquote_to_bytes, urlencode

import msgspec
from django.http import HttpRequest, HttpResponseBase, HttpResponsePermanentRedirect, QueryDict
from django.urls import resolve
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.exceptions import MethodNotAllowed, NotFound, ParseError, ValidationError
from rest_framework.permissions import SAFE_METHODS, AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from messaging import access, mediator
from messaging.api.errors import Handler, refusal
from messaging.api.headers import etag, idempotency, if_match
from messaging.api.openapi import TOKEN_HEADER, TOKEN_PARAMETER, command_schema, query_schema
from messaging.api.parsers import StrictFormParser, StrictJSONParser
from messaging.api.renderers import BrowsableRenderer, FastJSONRenderer
from messaging.api.serializers import MessageSerializer, input_serializer, key_errors
from messaging.exceptions import DomainError
from messaging.http import answer_headers, context_of
from messaging.message import Context, Result, who_may
from messaging.projections.serving import consistency_token
from messaging.projections.serving.paging import Page


class ApiView(APIView):
    """A view with its own rules for bodies and errors, whatever REST_FRAMEWORK says for the
    project's views."""

    parser_classes = [StrictJSONParser, StrictFormParser]

    def get_exception_handler(self) -> Any:
        return lambda error, context: Handler(error, context).run()


class Permitted(BasePermission):
    """The mediator's own rule, asked before the body is read: 401 comes before 400."""

    def has_permission(self, request: Request, view: Any) -> bool:
        self.message = access.refusal_of(view.who)
        is_description = isinstance(view, CommandPage) and request.method in SAFE_METHODS
        return is_description or access.permits(view.who, request.user)


class MessageView(ApiView):
    serializer_class: ClassVar[type[MessageSerializer]]
    who: ClassVar[access.Who]
    renderer_classes = [FastJSONRenderer, BrowsableRenderer]


class CommandPage(MessageView):
    """What a browser sees of a command; to programs there is no GET."""

    def get_serializer(self, *args: Any, **kwargs: Any) -> MessageSerializer:
        """By the name that DRF makes forms from."""
        return self.serializer_class(*args, **kwargs)

    @property
    def allowed_methods(self) -> list[str]:
        methods: list[str] = super().allowed_methods
        if not _is_browsed(getattr(self, "request", None)):
            methods = [method for method in methods if method not in ("GET", "HEAD")]
        return methods

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        """The description and the form, for a browser."""
        if not _is_browsed(request):
            raise MethodNotAllowed(request.method or "")
        return Response()


class CommandView(CommandPage):
    _context: Context | None = None
    _result: Result | None = None

    def post(self, request: Request) -> Response:
        context = self._context = context_of(request.headers, request.user)
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        command = serializer.validated_data
        conditions = {"if_version": if_match(request), **idempotency(request, command)}
        try:
            result = self._result = mediator.send(command, replace(context, **conditions))
        except DomainError as refused:
            raise refusal(refused, serializer) from refused
        body = answer(result)
        headers = {"ETag": etag(result.version), TOKEN_HEADER: body["consistency_token"]}
        return Response(body, status=201 if result.created else 200, headers=headers)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """With the ids by which the command is found, also when it was refused."""
        found = super().finalize_response(request, response, *args, **kwargs)
        if self._context is not None:
            for name, value in answer_headers(self._context, self._result).items():
                found[name] = value
        return found


@method_decorator(conditional_page, name="dispatch")  # If-None-Match: 304
class QueryView(MessageView):
    _serializer: MessageSerializer | None = None

    def query_serializer(self) -> MessageSerializer:
        """What was asked, or nothing yet, for the form."""
        return self._serializer or self.serializer_class()

    def get(self, request: Request) -> Response:
        params = parameters(request)
        token = sent_token(request, params)
        serializer = self._serializer = self.serializer_class(data=params)
        serializer.is_valid(raise_exception=True)
        reached = consistency_token.read(token) if token is not None else ()
        query = serializer.validated_data
        found = mediator.ask(query, reached, request.user)
        if isinstance(found, Page):
            found = {
                "next": page_url(request, params, found.next),
                "previous": page_url(request, params, found.previous),
                "results": found.results,
            }
        version = getattr(found, "version", None)  # of one thing; a page's ETag is its content's
        headers = {"ETag": etag(version)} if version is not None else {}
        if mediator.is_personal(type(query)):
            headers |= {"Cache-Control": "private", "Vary": "Authorization, Cookie"}
        body = msgspec.to_builtins(found) if _is_browsed(request) else found
        return Response(body, headers=headers)


class RootView(ApiView):
    """Every command and query."""

    permission_classes = [AllowAny]
    renderer_classes = [FastJSONRenderer, BrowsableRenderer]
    schema = None
    names: ClassVar[dict[str, list[str]]]

    def get(self, request: Request) -> Response:
        return Response(
            {
                kind: {name: reverse(f"{kind}-{name}", request=request) for name in names}
                for kind, names in self.names.items()
            }
        )


class NotFoundView(ApiView):
    """Every other address: an error of the API also when DEBUG shows Django's own pages."""

    permission_classes = [AllowAny]
    renderer_classes = [FastJSONRenderer, BrowsableRenderer]
    schema = None

    def get(self, request: Request, rest: str) -> HttpResponseBase:
        view = resolve(f"{request.path_info}/").func
        if not rest.endswith("/") and getattr(view, "view_class", None) is not NotFoundView:
            return HttpResponsePermanentRedirect(request.get_full_path(force_append_slash=True))
        raise self._nothing_here()

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> NoReturn:
        raise self._nothing_here()

    options = http_method_not_allowed

    def _nothing_here(self) -> NotFound:
        root = reverse("api-root")
        return NotFound(f"Nothing is here. Addresses end in a slash; {root} lists them.")


def parameters(request: Request) -> QueryDict:
    """The query string, to be changed freely. Django would replace what is not UTF-8."""
    try:
        unquote_to_bytes(request.META.get("QUERY_STRING", "").encode("latin-1")).decode()
    except UnicodeError:
        raise ParseError("The query string is not valid UTF-8.") from None
    return request.query_params.copy()


def sent_token(request: Request, params: QueryDict) -> str | None:
    """The token of the header or the parameter, which is taken out of `params`."""
    sent = params.pop(TOKEN_PARAMETER, [])
    header = request.headers.get(TOKEN_HEADER)
    if header is not None and sent != [header]:
        sent = [*sent, header]
    if len(sent) > 1:
        raise ValidationError(key_errors([TOKEN_PARAMETER], "repeated_field", "Send this once."))
    return sent[0] if sent else None


def page_url(request: Request, params: QueryDict, cursor: str | None) -> str | None:
    """The address of the page at the cursor, with the other parameters as they were."""
    if cursor is None:
        return None
    query = urlencode({**params.dict(), "cursor": cursor})
    return request.build_absolute_uri(f"{request.path}?{query}")


def answer(result: Result) -> dict[str, Any]:
    """What the sender of a command gets."""
    ids = {name: str(value) for name, value in result.ids.items()}
    token = consistency_token.mint(result.positions)
    return {**ids, "version": result.version, "consistency_token": token}


def command_view(command_type: type) -> type[CommandView]:
    schema = extend_schema_view(post=command_schema(command_type))
    return schema(_view(CommandView, command_type))


def query_view(query_type: type) -> type[QueryView]:
    schema = extend_schema_view(get=query_schema(query_type))
    return schema(_view(QueryView, query_type))


def _view(base: type[Any], message_type: type) -> type[Any]:
    serializer = input_serializer(message_type)
    who = who_may(message_type)
    members = {
        "__doc__": message_type.__doc__,
        "serializer_class": serializer,
        "who": staticmethod(who) if callable(who) else who,
        "permission_classes": [AllowAny if who is access.anyone else Permitted],
    }
    return type(message_type.__name__, (base,), members)


def _is_browsed(request: Request | None) -> bool:
    renderer = getattr(request, "accepted_renderer", None)
    return renderer is not None and renderer.format == "api"
