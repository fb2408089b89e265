"""Serializers made from the messages: strict about types, silent about the domain's rules."""

import dataclasses
import re
import typing
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import islice
from typing import Any, ClassVar

from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework_dataclasses.serializers import DataclassSerializer

from messaging import mediator
from messaging.api.fields import STRICT, LiteralField, MemberField
from messaging.exceptions import Invalid
from messaging.message import QUERIES, id_fields
from messaging.projections.serving.paging import Page

SHOWN_KEYS = 20  # unknown keys that are echoed
SHOWN_OF_A_KEY = 50  # characters of each
FORM_EXTRAS = frozenset({"csrfmiddlewaretoken"})
AT = re.compile(r"\[[0-9]{1,9}\]", re.ASCII)


class MessageSerializer(DataclassSerializer[Any]):
    """Input for a command or query, and for a dataclass within one. Refuses what the dataclass does
    not have."""

    serializer_field_mapping = {**DataclassSerializer.serializer_field_mapping, **STRICT}

    @property
    def serializer_dataclass_field(self) -> type["MessageSerializer"]:
        return MessageSerializer

    def build_enum_field(self, field_name: str, type_info: Any) -> tuple[type[Any], dict[str, Any]]:
        return MemberField, {"enum_class": type_info.base_type}

    def build_literal_field(
        self, field_name: str, type_info: Any
    ) -> tuple[type[Any], dict[str, Any]]:
        return LiteralField, super().build_literal_field(field_name, type_info)[1]

    def get_fields(self) -> dict[str, Any]:
        """With the defaults of the dataclass, for the OpenAPI document and the forms."""
        fields: dict[str, Any] = super().get_fields()
        for field in dataclasses.fields(self.dataclass_definition.dataclass_type):
            if field.default not in (dataclasses.MISSING, None):
                made = fields[field.name]
                made.default, made.initial = field.default, made.to_representation(field.default)
        return fields

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            self._require_known(data)
        return super().to_internal_value(data)

    def _require_known(self, data: Mapping[str, Any]) -> None:
        lists = data.lists() if isinstance(data, QueryDict) else ()
        extras = FORM_EXTRAS if isinstance(data, QueryDict) else frozenset()
        unknown = [key for key in data if not self._knows(key, data) and key not in extras]
        repeated = [
            key
            for key, values in lists
            if len(values) > 1 and not isinstance(self.fields.get(key), serializers.ListField)
            if key not in unknown
        ]
        if unknown or repeated:
            raise ValidationError(
                {
                    **key_errors(unknown, "unknown_field", "There is no such field."),
                    **key_errors(repeated, "repeated_field", "Send this once."),
                }
            )

    def _knows(self, key: str, data: Mapping[str, Any]) -> bool:
        """In a form, `line.item` is in the field line, and `lines[0]item` in lines."""
        if not isinstance(data, MultiValueDict):
            return key in self.fields
        name = re.split(r"[.\[]", key)[0]
        field, within = self.fields.get(name), key[len(name) :]
        if isinstance(field, serializers.Serializer | serializers.DictField):
            return within.startswith(".")
        if isinstance(getattr(field, "child", None), serializers.Serializer):
            return AT.match(within) is not None
        return field is not None and not within


class InputSerializer(MessageSerializer):
    """Of a whole command or query. Its own fields are for forms, errors and documents."""

    Meta: ClassVar[Any]

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return validated(self.Meta.dataclass, data)


@cache
def input_serializer(message_type: type) -> type[InputSerializer]:
    """The serializer class of a command or query."""
    meta = type("Meta", (), {"dataclass": message_type})
    return type(f"{message_type.__name__}Serializer", (InputSerializer,), {"Meta": meta})


def validated(message_type: type, data: Any) -> Any:
    """The message that `data` says: JSON, or a form or query string as a QueryDict. Raises
    `ValidationError`."""
    return _reader(message_type, isinstance(data, QueryDict)).run_validation(data)


def read(message_type: type, data: Mapping[str, Any]) -> Any:
    """The message that `data` says, read as the API reads it. Raises `Invalid` with the first
    thing that is wrong; `attr` names where, such as `lines.0.quantity`."""
    try:
        return validated(message_type, data)
    except ValidationError as error:
        found: Any = error.detail
    path: list[str] = []
    while not isinstance(found, ErrorDetail):
        if isinstance(found, list):
            found = next(one for one in found if one)
        else:
            key, found = next(iter(found.items()))
            path.append(str(key))
    raise Invalid(found.code or "invalid", str(found), ".".join(path))


@cache
def _reader(message_type: type, of_a_form: bool) -> MessageSerializer:
    """One for all threads and requests: to make its fields costs more than to read with them, and
    reading changes nothing of them."""
    meta = type("Meta", (), {"dataclass": message_type})
    reader = type(f"{message_type.__name__}Reader", (MessageSerializer,), {"Meta": meta})
    found: MessageSerializer = reader(data=QueryDict()) if of_a_form else reader()
    _require_fields(found)  # while no other thread has it
    return found


@cache
def output_serializer(dataclass_type: type) -> type[DataclassSerializer[Any]]:
    """What an answer looks like, for the OpenAPI document."""
    meta = type("Meta", (), {"dataclass": dataclass_type})
    return type(f"{dataclass_type.__name__}Serializer", (DataclassSerializer,), {"Meta": meta})


def answer_shown(answer: Any) -> Any:
    """The serializer of what answers a query."""
    if typing.get_origin(answer) is Page:
        return page_serializer(*typing.get_args(answer))
    if typing.get_origin(answer) is list:
        return output_serializer(*typing.get_args(answer))(many=True)
    return output_serializer(answer)


def fault_of(message_type: type) -> str:
    """Say why the API cannot offer a command or query, or nothing."""
    try:
        _require_fields(input_serializer(message_type)())
        if message_type in QUERIES.values():
            answer = mediator.answer_of(message_type)
            item = _item_of(answer)
            if item is None:
                return f"it is answered by {answer}" if answer else "nothing says what answers it"
            _require_fields(output_serializer(item)())
    except NameError as error:
        return f"an annotation cannot be resolved: {error}"
    except RecursionError:
        return "a dataclass in it holds itself"
    except (NotImplementedError, TypeError, ValueError) as error:
        return str(error)
    return ""


def _item_of(answer: Any) -> type | None:
    """The dataclass of `View`, `Page[View]` or `list[View]`."""
    item = answer
    if typing.get_origin(answer) in (Page, list):
        (item,) = typing.get_args(answer)
    return item if isinstance(item, type) and dataclasses.is_dataclass(item) else None


def _require_fields(field: Any) -> None:
    """Make the fields of a serializer, and of those within it: raises if one cannot be made."""
    if (child := getattr(field, "child", None)) is not None:
        _require_fields(child)
    for one in getattr(field, "fields", {}).values():
        _require_fields(one)


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
