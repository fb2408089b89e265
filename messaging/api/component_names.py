"""The names of dataclasses in the OpenAPI document: two of one name are two schemas."""

import dataclasses
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

from drf_spectacular.contrib.rest_framework_dataclasses import OpenApiDataclassSerializerExtensions

from messaging import mediator
from messaging.message import COMMANDS, QUERIES


class DataclassNames(OpenApiDataclassSerializerExtensions):  # type: ignore[no-untyped-call]  # found
    """Found by drf-spectacular once it is defined."""

    priority = 1  # before its own

    def get_name(self) -> str:  # type: ignore[override]  # it says it returns None
        return component_name(self.target.dataclass_definition.dataclass_type)


def component_name(cls: type) -> str:
    """The class's name; with those of its module before it, as in OrdersMessagesLine, if another
    dataclass has it too. A message keeps its name."""
    messages = (*COMMANDS.values(), *QUERIES.values())
    if cls in messages or not _is_shared(messages, cls):
        return cls.__name__
    return "".join(part.title() for part in cls.__module__.split(".")) + cls.__name__


def _is_shared(messages: tuple[type, ...], cls: type) -> bool:
    return any(one.__name__ == cls.__name__ and one is not cls for one in _known(messages))


@cache
def _known(messages: tuple[type, ...]) -> frozenset[type]:
    answers = [mediator.answer_of(one) for one in messages if one in QUERIES.values()]
    return frozenset(found for one in (*messages, *answers) for found in dataclasses_in(one))


def dataclasses_in(hint: Any, above: tuple[type, ...] = ()) -> Iterator[type]:
    """A message itself, and those of its fields, at whatever depth; nothing of what cannot be
    resolved, which `manage.py check` names."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and hint not in above:
        yield hint
        try:
            hints = typing.get_type_hints(hint)
        except NameError:
            return
        for within in hints.values():
            yield from dataclasses_in(within, (*above, hint))
    for argument in typing.get_args(hint):
        yield from dataclasses_in(argument, above)
