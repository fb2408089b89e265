"""Views made from the registry: a registered command or query is an endpoint."""

from typing import Any, ClassVar, NoReturn

import msgspec
from django.http import HttpRequest, HttpResponseBase, HttpResponsePermanentRedirect
from django.urls import resolve
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.exceptions import MethodNotAllowed, NotFound
from rest_framework.permissions import SAFE_METHODS, AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from messaging import access
from messaging.api.answering import carry_out, context_once, look_up, parameters, sent_token
from messaging.api.errors import Handler, refusal
from messaging.api.openapi import command_schema, query_schema
from messaging.api.parsers import StrictFormParser, StrictJSONParser
from messaging.api.renderers import BrowsableRenderer, FastJSONRenderer
from messaging.api.serializers import MessageSerializer, input_serializer
from messaging.exceptions import DomainError
from messaging.http import answer_headers
from messaging.message import Context, who_may


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
    message_type: ClassVar[type]
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

    def post(self, request: Request) -> Response:
        context = self._context = context_once(request._request, request.user)
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            answer = carry_out(request._request, serializer.validated_data, context)
        except DomainError as refused:
            raise refusal(refused, serializer) from refused
        return Response(answer.body, status=answer.status, headers=answer.headers)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """With the ids by which the command is found, also when it was refused."""
        found = super().finalize_response(request, response, *args, **kwargs)
        if self._context is not None:
            for name, value in answer_headers(self._context).items():
                found.setdefault(name, value)
        return found


@method_decorator(conditional_page, name="dispatch")  # If-None-Match: 304
class QueryView(MessageView):
    _serializer: MessageSerializer | None = None

    def query_serializer(self) -> MessageSerializer:
        """What was asked, or nothing yet, for the form."""
        return self._serializer or self.serializer_class()

    def get(self, request: Request) -> Response:
        params = parameters(request._request)
        token = sent_token(request._request, params)
        serializer = self._serializer = self.serializer_class(data=params)
        serializer.is_valid(raise_exception=True)
        query = serializer.validated_data
        answer = look_up(request._request, query, params, token, request.user)
        body = msgspec.to_builtins(answer.body) if _is_browsed(request) else answer.body
        return Response(body, headers=answer.headers)


class NotFoundView(ApiView):
    """There is nothing at this address."""  # in the API's form, whatever DEBUG says

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
        "message_type": message_type,
        "serializer_class": serializer,
        "who": staticmethod(who) if callable(who) else who,
        "permission_classes": [AllowAny if who is access.anyone else Permitted],
    }
    return type(message_type.__name__, (base,), members)


def _is_browsed(request: Request | None) -> bool:
    renderer = getattr(request, "accepted_renderer", None)
    return renderer is not None and renderer.format == "api"
