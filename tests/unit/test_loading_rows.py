"""A row that is loaded without Django's help is the one that Django would make."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connections, models
from django.db.models.signals import post_init

from messaging import RootModel
from messaging.dialect import dialect_of
from messaging.message import utc_now
from messaging.projections import bulk_sql
from queries_app.models import Comment


def columns_of(model: type[Any]) -> bulk_sql._Columns:
    return bulk_sql._Columns(model, dialect_of(connections["read"]))


def a_row(**changes: Any) -> dict[str, Any]:
    """As SQLite has it."""
    values = {"id": 7, "generation": 1, "stream_id": uuid4().hex, "comment_id": uuid4().hex,
              "author": "alice", "text": "Hi", "commented_at": utc_now().replace(tzinfo=None),
              "edited_at": None}  # fmt: skip
    return values | changes


def test_it_is_equal_in_every_field_and_counts_as_stored() -> None:
    columns, values = columns_of(Comment), a_row()
    row = columns.row_maker()(list(values.values()))
    names = [field.attname for field in Comment._meta.concrete_fields]
    same = Comment.from_db("read", names, [getattr(row, name) for name in names])
    assert row.stream_id.hex == values["stream_id"]
    assert row.commented_at.tzinfo is not None
    assert {**vars(row), "_state": None} == {**vars(same), "_state": None}
    assert vars(row._state) == vars(same._state)


def test_who_listens_for_rows_hears_of_it() -> None:
    heard: list[Any] = []

    def listen(instance: Any, **_: Any) -> None:
        heard.append(instance)

    post_init.connect(listen, sender=Comment)
    try:
        row = columns_of(Comment).row_maker()(list(a_row().values()))
    finally:
        post_init.disconnect(listen, sender=Comment)
    assert heard == [row]


class Upper:
    """A field's descriptor that changes what is set."""

    def __init__(self, field: Any) -> None:
        self._name = field.attname

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else instance.__dict__[self._name]

    def __set__(self, instance: Any, value: str) -> None:
        instance.__dict__[self._name] = value.upper()


class UpperField(models.CharField):  # type: ignore[type-arg]
    descriptor_class = Upper  # type: ignore[assignment]


class WithDescriptor(RootModel):
    name = UpperField(max_length=10, default="")

    class Meta:
        app_label = "loading_rows"


class WithInit(RootModel):
    name = models.CharField(max_length=10, default="")

    class Meta:
        app_label = "loading_rows"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = self.name.upper()


class WithLoading(RootModel):
    name = models.CharField(max_length=10, default="")

    class Meta:
        app_label = "loading_rows"

    @classmethod
    def from_db(cls, *args: Any) -> Any:
        found = super().from_db(*args)
        found.name = found.name.upper()
        return found


@pytest.mark.parametrize("model", [WithDescriptor, WithInit, WithLoading])
def test_what_a_model_does_to_its_values_is_done(model: Any) -> None:
    names = [field.attname for field in model._meta.concrete_fields]
    values = {**dict.fromkeys(names), "stream_id": uuid4().hex, "name": "abc"}
    assert columns_of(model).row_maker()(list(values.values())).name == "ABC"
