"""What a body may be: bounded, UTF-8, and nothing that JSON parsers disagree about.

Settings name these classes, so this module must not import what reads them
(rest_framework.views, drf_standardized_errors): that would be a circle.
"""

from typing import IO, Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.http import QueryDict
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

from messaging.api import strict_json

UTF8_NAMES = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})  # ASCII is UTF-8


class TooLarge(APIException):
    status_code = 413
    default_code = "too_large"
    default_detail = "The body is too large."


class StrictJSONParser(BaseParser):
    """JSON in UTF-8 without duplicate keys, non-finite numbers or endless nesting."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, context: Any = None
    ) -> dict[str, Any]:
        text = read_text(stream, context)
        try:
            data = strict_json.loads(text)
        except ValueError as error:
            raise ParseError(f"This is not valid JSON: {error}") from None
        if not isinstance(data, dict):
            raise ParseError("The body has to be a JSON object.")
        return data


class StrictFormParser(BaseParser):
    """Forms as browsers send them, in UTF-8."""

    media_type = "application/x-www-form-urlencoded"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, context: Any = None
    ) -> QueryDict:
        text = read_text(stream, context)
        try:
            parse_qsl(text, keep_blank_values=True, errors="strict")
        except ValueError:
            raise ParseError("The form is not valid UTF-8.") from None
        return QueryDict(text, encoding="utf-8")


def read_text(stream: IO[Any], context: Any) -> str:
    """The body as text. Raises `TooLarge` before it holds more than is allowed."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise TooLarge(f"The body is larger than {limit:,} bytes.")
    _require_utf8(context)
    try:
        text: str = body.decode("utf-8")
    except UnicodeDecodeError:
        raise ParseError("The body is not valid UTF-8.") from None
    return text


def _require_utf8(context: Any) -> None:
    request = (context or {}).get("request")
    charset = request.content_params.get("charset", "utf-8") if request is not None else "utf-8"
    if charset.lower() not in UTF8_NAMES:
        raise ParseError("The charset has to be UTF-8.")
