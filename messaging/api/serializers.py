"""Serializers made from the messages: strict about types, silent about the domain's rules."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import islice
from typing import Any
from uuid import UUID

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework_dataclasses.serializers import DataclassSerializer

from messaging.http import CANONICAL_UUID
from messaging.message import id_fields

DIGITS = re.compile(r"-?[0-9]{1,18}", re.ASCII)
SHOWN_KEYS = 20  # unknown keys that are echoed
SHOWN_OF_A_KEY = 50  # characters of each
FORM_EXTRAS = frozenset({"csrfmiddlewaretoken"})


class TextField(serializers.CharField):
    """A string as it was sent. DRF's own makes strings of numbers, and trims."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trim_whitespace": False, "allow_blank": True, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class IdField(serializers.UUIDField):
    """A UUID in its canonical form. DRF's own makes UUIDs of numbers."""

    default_error_messages = {"invalid": "This is not a UUID."}  # without what was sent

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or not CANONICAL_UUID.fullmatch(data):
            self.fail("invalid")
        return UUID(data)


class WholeNumberField(serializers.IntegerField):
    """A JSON integer; in a form or a query string, where all is text, plain digits."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_value": -(2**31), "max_value": 2**31 - 1, **kwargs})

    def to_internal_value(self, data: Any) -> int:
        if isinstance(getattr(self.root, "initial_data", None), QueryDict):
            fits = isinstance(data, str) and bool(DIGITS.fullmatch(data))
        else:
            fits = isinstance(data, int) and not isinstance(data, bool)
        if not fits:
            self.fail("invalid")
        return int(data)


class MessageSerializer(DataclassSerializer[Any]):
    """Input for a command or query. Refuses what its dataclass does not have."""

    serializer_field_mapping = {
        **DataclassSerializer.serializer_field_mapping,
        str: TextField,
        UUID: IdField,
        int: WholeNumberField,
    }

    def get_fields(self) -> dict[str, Any]:
        """With the defaults of the dataclass, for the OpenAPI document and the forms."""
        fields: dict[str, Any] = super().get_fields()
        for field in dataclasses.fields(self.dataclass_definition.dataclass_type):
            if field.default not in (dataclasses.MISSING, None):
                fields[field.name].default = fields[field.name].initial = field.default
        return fields

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            self._require_known(data)
        return super().to_internal_value(data)

    def _require_known(self, data: Mapping[str, Any]) -> None:
        lists = data.lists() if isinstance(data, QueryDict) else ()
        extras = FORM_EXTRAS if isinstance(data, QueryDict) else frozenset()
        unknown = [key for key in data if key not in self.fields and key not in extras]
        repeated = [key for key, values in lists if len(values) > 1 and key not in unknown]
        if unknown or repeated:
            raise ValidationError(
                {
                    **key_errors(unknown, "unknown_field", "There is no such field."),
                    **key_errors(repeated, "repeated_field", "Send this once."),
                }
            )


@cache
def input_serializer(message_type: type) -> type[MessageSerializer]:
    """The serializer class of a command or query."""
    meta = type("Meta", (), {"dataclass": message_type})
    return type(f"{message_type.__name__}Serializer", (MessageSerializer,), {"Meta": meta})


@cache
def output_serializer(dataclass_type: type) -> type[DataclassSerializer[Any]]:
    """What an answer looks like, for the OpenAPI document."""
    meta = type("Meta", (), {"dataclass": dataclass_type})
    return type(f"{dataclass_type.__name__}Serializer", (DataclassSerializer,), {"Meta": meta})


@cache
def page_serializer(item_type: type) -> type[serializers.Serializer[Any]]:
    fields = {
        "next": serializers.URLField(allow_null=True, help_text="The page after this one."),
        "previous": serializers.URLField(allow_null=True, help_text="The page before this one."),
        "results": output_serializer(item_type)(many=True),
    }
    return type(f"{item_type.__name__}PageSerializer", (serializers.Serializer,), fields)


@cache
def answer_serializer(command_type: type) -> type[serializers.Serializer[Any]]:
    """What the sender of a command gets: the ids that it names, made where it left them out."""
    fields: dict[str, Any] = {name: serializers.UUIDField() for name in id_fields(command_type)}
    fields["version"] = serializers.IntegerField(help_text="Of the stream, after the command.")
    fields["consistency_token"] = serializers.CharField(
        help_text="Send it with a query: its answer then shows what this command did."
    )
    return type(f"{command_type.__name__}AnswerSerializer", (serializers.Serializer,), fields)


class ErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()
    attr = serializers.CharField(allow_null=True)


class ErrorAnswerSerializer(serializers.Serializer[Any]):
    type = serializers.ChoiceField(["validation_error", "client_error", "server_error"])
    errors = ErrorSerializer(many=True)  # type: ignore[assignment]  # a field of that name


def key_errors(keys: Iterable[str], code: str, detail: str) -> dict[str, list[ErrorDetail]]:
    """An error for each of the keys, which are whatever was sent."""
    # By ascii(), because a lone surrogate cannot be encoded, and cut, because keys may be
    # long and many.
    return {
        ascii(key)[1:-1][:SHOWN_OF_A_KEY]: [ErrorDetail(detail, code)]
        for key in islice(keys, SHOWN_KEYS)
    }
