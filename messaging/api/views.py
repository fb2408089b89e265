"""Views made from the registry: a registered command or query is an endpoint."""

import typing
from typing import Any, ClassVar
from urllib.parse import urlencode

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import MethodNotAllowed, ValidationError
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from messaging import mediator, tokens
from messaging.api.errors import refusal
from messaging.api.serializers import (
    CommandAnswerSerializer,
    ErrorAnswerSerializer,
    MessageSerializer,
    input_serializer,
    output_serializer,
    page_serializer,
)
from messaging.exceptions import Refused
from messaging.message import Context, Result
from messaging.projections.paging import Page

TOKEN_HEADER, TOKEN_PARAMETER = "Consistency-Token", "consistency_token"
ERRORS: dict[int, Any] = {
    status: ErrorAnswerSerializer for status in (400, 401, 403, 404, 405, 409, 413, 415, 503)
}


class FastJSONRenderer(JSONRenderer):
    """As DRF's, by msgspec, which also knows dataclasses, UUIDs and times."""

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else msgspec.json.encode(data, enc_hook=str)


class BrowsableRenderer(BrowsableAPIRenderer):
    """DRF's browsable pages, with the JSON indented."""

    def get_default_renderer(self, view: APIView) -> JSONRenderer:
        return JSONRenderer()


class MessageView(APIView):
    message_type: ClassVar[type]
    serializer_class: ClassVar[type[MessageSerializer]]
    renderer_classes = [FastJSONRenderer, BrowsableRenderer]

    def get_serializer(self, *args: Any, **kwargs: Any) -> MessageSerializer:
        return self.serializer_class(*args, **kwargs)


class CommandView(MessageView):
    permission_classes = [IsAuthenticated]

    @property
    def allowed_methods(self) -> list[str]:
        methods: list[str] = super().allowed_methods
        browsed = getattr(getattr(self, "request", None), "accepted_renderer", None)
        if browsed is None or browsed.format != "api":
            methods = [method for method in methods if method != "GET"]
        return methods

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        """The description and the form, for a browser."""
        if request.accepted_renderer.format != "api":
            raise MethodNotAllowed("GET")
        return Response({"detail": "Send this command with POST."})

    def post(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        context = Context(actor=request.user.get_username())
        try:
            result = mediator.send(serializer.validated_data, context)
        except Refused as refused:
            error = refusal(refused)
            if isinstance(error, ValidationError):
                # So that the form shows the message at its field, with the text kept.
                serializer._errors = error.detail
                raise ValidationError(serializer.errors) from refused
            raise error from refused
        return Response(answer(result), status=201 if result.created else 200)


class QueryView(MessageView):
    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        params = request.query_params.copy()
        token = request.headers.get(TOKEN_HEADER) or params.get(TOKEN_PARAMETER)
        params.pop(TOKEN_PARAMETER, None)
        params.pop("format", None) if request.accepted_renderer.format == "api" else None
        reached = tokens.read(token) if token else None
        serializer = self.get_serializer(data=params)
        serializer.is_valid(raise_exception=True)
        found = mediator.ask(serializer.validated_data, reached)
        if isinstance(found, Page):
            found = {
                "next": self._page_url(request, found.next),
                "previous": self._page_url(request, found.previous),
                "results": found.results,
            }
        if request.accepted_renderer.format == "api":
            found = msgspec.to_builtins(found)
        return Response(found)

    def _page_url(self, request: Request, cursor: str | None) -> str | None:
        if cursor is None:
            return None
        params = {k: v for k, v in request.query_params.items() if k != TOKEN_PARAMETER}
        return request.build_absolute_uri(f"{request.path}?{urlencode({**params, 'cursor': cursor})}")


def answer(result: Result) -> dict[str, Any]:
    """What the sender of a command gets."""
    ids = {name: str(value) for name, value in result.ids.items()}
    token = tokens.mint(result.stream_id, result.version)
    return {**ids, "version": result.version, "consistency_token": token}


def command_view(command_type: type) -> type[CommandView]:
    """The view class of a command."""
    serializer = input_serializer(command_type)
    post = extend_schema(
        operation_id=command_type.__name__,
        description=command_type.__doc__,
        request=serializer,
        responses={200: CommandAnswerSerializer, 201: CommandAnswerSerializer, **ERRORS},
        tags=["commands"],
    )(_copy(CommandView.post))
    return _view(CommandView, command_type, serializer, post=post)


def query_view(query_type: type) -> type[QueryView]:
    """The view class of a query; its answer is what the handler is annotated to return."""
    serializer = input_serializer(query_type)
    returned = typing.get_type_hints(mediator.answerer_of(query_type))["return"]
    if typing.get_origin(returned) is Page:
        response: Any = page_serializer(typing.get_args(returned)[0])
    else:
        response = output_serializer(returned)
    get = extend_schema(
        operation_id=query_type.__name__,
        description=query_type.__doc__,
        parameters=[serializer, *TOKEN_PARAMETERS],
        responses={200: response, **{s: ERRORS[s] for s in (400, 401, 404, 405, 503)}},
        tags=["queries"],
    )(_copy(QueryView.get))
    return _view(QueryView, query_type, serializer, get=get)


TOKEN_PARAMETERS = [
    OpenApiParameter(
        name, str, place, description="Of a command's answer: wait until the answer shows it."
    )
    for name, place in (
        (TOKEN_HEADER, OpenApiParameter.HEADER),
        (TOKEN_PARAMETER, OpenApiParameter.QUERY),
    )
]


class RootView(APIView):
    """Every command and query."""

    permission_classes = [AllowAny]
    schema = None
    names: ClassVar[dict[str, list[str]]]

    def get(self, request: Request) -> Response:
        return Response(
            {
                kind: {name: reverse(f"{kind}-{name}", request=request) for name in names}
                for kind, names in self.names.items()
            }
        )


def _view(base: type[Any], message_type: type, serializer: type, **members: Any) -> type[Any]:
    return type(
        message_type.__name__,
        (base,),
        {
            "__doc__": message_type.__doc__,
            "message_type": message_type,
            "serializer_class": serializer,
            **members,
        },
    )


def _copy(method: Any) -> Any:
    """A function of its own, because a schema is attached to it."""

    def handler(self: Any, request: Request) -> Response:
        response: Response = method(self, request)
        return response

    return handler
