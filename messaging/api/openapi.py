"""The OpenAPI entries of commands and queries, all taken from their dataclasses."""

import dataclasses
import re
from http import HTTPStatus
from inspect import getdoc
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from messaging import mediator
from messaging.access import anyone, sentence, signed_in
from messaging.api import examples
from messaging.api.headers import IDEMPOTENCY_KEY, IF_MATCH, MAX_KEY_LENGTH
from messaging.api.serializers import (
    ErrorAnswerSerializer,
    answer_serializer,
    answer_shown,
    input_serializer,
)
from messaging.error_codes import codes_of_every_project
from messaging.http import CAUSATION_ID, CORRELATION_ID, TRACEPARENT
from messaging.message import who_may

TOKEN_HEADER, TOKEN_PARAMETER = "Consistency-Token", "consistency_token"
TOKEN_HELP = "Of a command's answer: wait until this answer shows what the command did."
TOKEN_PARAMETERS = [
    OpenApiParameter(TOKEN_HEADER, str, OpenApiParameter.HEADER, description=TOKEN_HELP),
    OpenApiParameter(TOKEN_PARAMETER, str, OpenApiParameter.QUERY, description=TOKEN_HELP),
]


SENTENCE = re.compile(r"(.+?[.!?])(\s|$)", re.DOTALL)


def error_responses(*statuses: int) -> dict[int, Any]:
    """The error answers of an operation: all in one form, with the codes that each status has in
    every project. A project's own are on the page of error codes."""
    return {
        status: OpenApiResponse(ErrorAnswerSerializer, description=_codes_of(status))
        for status in statuses
    }


def _codes_of(status: int) -> str:
    codes = [f"`{code}`" for code in codes_of_every_project(status)]
    return f"{HTTPStatus(status).phrase}: {', '.join(codes)}" if codes else ""


def kebab(name: str) -> str:
    """`PlaceOrder` -> `place-order`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def summary(documented: Any) -> str:
    """The first sentence of a docstring, on one line."""
    text = getdoc(documented) or ""
    found = SENTENCE.match(text)
    return " ".join((found[1] if found else text.partition("\n\n")[0]).split())


TRACE_PARAMETERS = [
    OpenApiParameter(
        CORRELATION_ID,
        UUID,
        OpenApiParameter.HEADER,
        description="Of the conversation that this command belongs to; a new one by default. It "
        "stands in the command's events, and in the answer, as do the next two.",
    ),
    OpenApiParameter(
        CAUSATION_ID,
        UUID,
        OpenApiParameter.HEADER,
        description="Of the message that led to this command.",
    ),
    OpenApiParameter(
        TRACEPARENT,
        str,
        OpenApiParameter.HEADER,
        description="W3C Trace Context. Without one, or with a malformed one, a new trace begins.",
    ),
]
COMMAND_PARAMETERS = [
    OpenApiParameter(
        IDEMPOTENCY_KEY,
        {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": "^[ -~]+$"},
        OpenApiParameter.HEADER,
        description="Your name for this request. Sent again with the same body it is not carried "
        "out again: you get the first answer; with another body, 422.",
    ),
    OpenApiParameter(
        IF_MATCH,
        str,
        OpenApiParameter.HEADER,
        description='The ETag of what the command changes, as you know it, such as `"v7"`; if it '
        "has changed since, 412. `*` is any version.",
        # Swagger UI fills the example in: with a version, the first command tried would be a 412.
        examples=[OpenApiExample("any version", "*")],
    ),
    *TRACE_PARAMETERS,
]
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of an answer you have; if it is still right, 304 without a body.",
)


def command_schema(command_type: type) -> Any:
    answer = answer_serializer(command_type)
    return extend_schema(
        operation_id=command_type.__name__,
        summary=summary(command_type),
        description=_description(command_type),
        parameters=COMMAND_PARAMETERS,
        request={"application/json": input_serializer(command_type)},
        responses={
            200: answer,
            201: answer,
            **error_responses(400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 429, 503),
        },
        tags=["commands"],
        examples=[
            OpenApiExample("Sent", examples.sent(command_type), request_only=True),
            OpenApiExample(
                "Answered",
                examples.command_answer(command_type),
                response_only=True,
                status_codes=["200", "201"],
            ),
        ],
    )


def _description(message_type: type) -> str:
    return f"{getdoc(message_type)}\n\nWho may: {sentence(who_may(message_type))}"


def query_schema(query_type: type) -> Any:
    answer = mediator.answer_of(query_type)
    # Whoever is signed in is refused only by a rule that looks at more than that.
    forbidden = () if who_may(query_type) in (anyone, signed_in) else (403,)
    # drf-spectacular fails at a serializer without fields.
    sent = [input_serializer(query_type)] if dataclasses.fields(query_type) else []
    return extend_schema(
        operation_id=query_type.__name__,
        summary=summary(query_type),
        description=_description(query_type),
        parameters=[*sent, *TOKEN_PARAMETERS, IF_NONE_MATCH],
        responses={
            200: answer_shown(answer),
            304: OpenApiResponse(description="You have it already."),
            **error_responses(400, 401, *forbidden, 404, 405, 406, 429, 503),
        },
        tags=["queries"],
        examples=[
            OpenApiExample(
                "Answered",
                examples.query_answer(answer),
                response_only=True,
                status_codes=["200"],
            )
        ],
    )
