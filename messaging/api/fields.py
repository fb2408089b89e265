"""Fields of messages: only what is written as its type has it is one, at whatever depth.

REST framework's own make strings of numbers, truth of "yes", and dates of half of them.
In a form or a query string, where all is text, a number and a truth are text too.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django.http import QueryDict
from rest_framework import serializers
from rest_framework_dataclasses.fields import DefaultDecimalField, EnumField

from messaging.http import CANONICAL_UUID

DIGITS = re.compile(r"-?[0-9]{1,18}", re.ASCII)
NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)


def is_of_a_form(field: serializers.Field[Any, Any, Any, Any]) -> bool:
    return isinstance(getattr(field.root, "initial_data", None), QueryDict)


class TextField(serializers.CharField):
    """A string as it was sent. DRF's own makes strings of numbers, and trims."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trim_whitespace": False, "allow_blank": True, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class WholeNumberField(serializers.IntegerField):
    """A JSON integer; in a form, plain digits."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"min_value": -(2**31), "max_value": 2**31 - 1, **kwargs})

    def to_internal_value(self, data: Any) -> int:
        if is_of_a_form(self):
            fits = isinstance(data, str) and bool(DIGITS.fullmatch(data))
        else:
            fits = isinstance(data, int) and not isinstance(data, bool)
        if not fits:
            self.fail("invalid")
        return int(data)


class NumberField(serializers.FloatField):
    """A JSON number; in a form, digits with a point."""

    def to_internal_value(self, data: Any) -> float:
        if is_of_a_form(self):
            fits = isinstance(data, str) and bool(NUMBER.fullmatch(data))
        else:
            # An integer of more than a float holds is a number too large for one.
            fits = isinstance(data, float) or (type(data) is int and abs(data) < 2**53)
        if not fits:
            self.fail("invalid")
        return float(data)


class TruthField(serializers.BooleanField):
    """true or false; in a form, as browsers send a box."""

    default_error_messages = {"invalid": "This is neither true nor false."}

    def to_internal_value(self, data: Any) -> bool:
        if not is_of_a_form(self) and not isinstance(data, bool):
            self.fail("invalid", input=data)
        return bool(super().to_internal_value(data))


class Written:
    """A JSON string that matches `pattern`; DRF's own field then reads it."""

    pattern: ClassVar[re.Pattern[str]]

    def to_internal_value(self, data: Any) -> Any:
        field: Any = self
        if not isinstance(data, str) or not self.pattern.fullmatch(data):
            field.fail("invalid")
        return super().to_internal_value(data)  # type: ignore[misc]  # of the field beside it


class IdField(Written, serializers.UUIDField):
    """A UUID in its canonical form. DRF's own makes UUIDs of numbers."""

    pattern = CANONICAL_UUID
    default_error_messages = {"invalid": "This is not a UUID."}  # without what was sent


class DecimalField(Written, DefaultDecimalField):
    """A decimal in a string, such as "9.90", with as many digits as it was sent with: a JSON
    number has been a binary fraction on its way."""

    pattern = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?", re.ASCII)
    default_error_messages = {"invalid": 'This is not a decimal in a string, such as "9.90".'}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"decimal_places": None, **kwargs})  # type: ignore[no-untyped-call]


class DateField(Written, serializers.DateField):
    pattern = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
    default_error_messages = {"invalid": "This is not a date, such as 2026-01-31."}


class DateTimeField(serializers.DateTimeField):
    """A time with its offset (RFC 3339), in UTC afterwards. A form's are of Django's time zone."""

    pattern = re.compile(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
        r"(Z|[+-][0-9]{2}:[0-9]{2})",
        re.ASCII,
    )
    default_error_messages = {"invalid": "This is not a time, such as 2026-01-31T12:00:00Z."}

    def to_internal_value(self, data: Any) -> datetime:
        if not isinstance(data, str):
            self.fail("invalid")
        if is_of_a_form(self):
            return super().to_internal_value(data)
        try:
            if self.pattern.fullmatch(data):
                return datetime.fromisoformat(data).astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # no such day, or a year that is none in UTC
        return self.fail("invalid")


class TimeField(Written, serializers.TimeField):
    pattern = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?", re.ASCII)
    default_error_messages = {"invalid": "This is not a time of day, such as 12:30."}


class DurationField(Written, serializers.DurationField):
    pattern = re.compile(r"(-?[0-9]{1,9} )?-?[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?", re.ASCII)
    default_error_messages = {"invalid": "This is not a duration, such as 1 12:30:00."}


def one_of(
    field: serializers.Field[Any, Any, Any, Any], data: Any, choices: Iterable[tuple[Any, Any]]
) -> Any:
    """The meaning of the choice that was sent. True is not 1, nor is "1", but in a form."""
    for value, meaning in choices:
        if type(value) is type(data) and value == data:
            return meaning
        if is_of_a_form(field) and str(value) == data:
            return meaning
    return field.fail("invalid_choice", input=data)


NO_CHOICE: dict[str, Any] = {
    "invalid_choice": "This is none of the choices."
}  # without what was sent


class MemberField(EnumField):
    """The value of a member of an Enum."""

    default_error_messages = NO_CHOICE

    def to_internal_value(self, data: Any) -> Any:
        return one_of(self, data, [(member.value, member) for member in self.enum_class])


class LiteralField(serializers.ChoiceField):
    default_error_messages = NO_CHOICE

    def to_internal_value(self, data: Any) -> Any:
        if data == "" and self.allow_blank:
            return ""
        return one_of(self, data, [(choice, choice) for choice in self.choices])


STRICT: dict[type, Any] = {
    str: TextField,
    int: WholeNumberField,
    float: NumberField,
    bool: TruthField,
    UUID: IdField,
    Decimal: DecimalField,
    date: DateField,
    datetime: DateTimeField,
    time: TimeField,
    timedelta: DurationField,
}
