"""What a body may be: bounded, UTF-8, and nothing that JSON parsers disagree about.

Settings name these classes, so this module must not import what reads them
(rest_framework.views, drf_standardized_errors): that would be a circle.
"""

import codecs
import json
import math
from collections.abc import Mapping
from typing import IO, Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.http import QueryDict
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser


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
            data = json.loads(
                text,
                object_pairs_hook=_without_duplicates,
                parse_float=_finite,
                parse_constant=_no_constant,
            )
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        except ValueError as error:
            # Also of an integer with more digits than Python converts.
            raise ParseError(f"This is not valid JSON: {str(error)[:200]}") from None
        if not isinstance(data, dict):
            raise ParseError("The body has to be a JSON object.")
        return data


class StrictFormParser(BaseParser):
    """Forms as browsers send them, in UTF-8."""

    media_type = "application/x-www-form-urlencoded"

    def parse(self, stream: IO[Any], media_type: str | None = None, context: Any = None) -> QueryDict:
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
    try:
        known = codecs.lookup(charset).name
    except LookupError:
        known = ""
    if known not in ("utf-8", "ascii"):
        raise ParseError("The charset has to be UTF-8.")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
