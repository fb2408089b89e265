"""A row that the database refuses: is the event at fault, or code that is older than the table?"""

from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connections, models

from messaging.projections.rows import unknown_column
from queries_app.models import Comment, Post
from tests.support.modes import Mode
from tests.support.newer_fields import add_column, added_field

MODELS = [Post, Comment]


def flag() -> Any:
    return models.BooleanField(default=False)


def refused(post: Post) -> IntegrityError:
    with pytest.raises(IntegrityError) as caught:
        post.save(force_insert=True)
    return caught.value


def post() -> Post:
    return Post(generation=1, stream_id=uuid4(), version=1, event_id=uuid4())


def test_a_column_that_no_model_knows_is_named(database: Mode) -> None:
    with added_field(Post, "pinned", flag()) as field:
        add_column(Post, field)
    error = refused(post())
    assert unknown_column(MODELS, error) == "queries_app_post.pinned"
    assert unknown_column([Comment], error) is None, "it is no table of theirs"
    with added_field(Comment, "pinned", flag()):
        assert unknown_column(MODELS, error) == "queries_app_post.pinned", "of the same name"
    with added_field(Post, "pinned", flag()):
        assert unknown_column(MODELS, error) is None, "newer code knows it"


def test_a_column_that_the_model_knows_is_left_empty_by_the_event(database: Mode) -> None:
    wrong = post()
    wrong.version = None  # type: ignore[assignment]
    assert unknown_column(MODELS, refused(wrong)) is None


def test_another_constraint_is_no_column(database: Mode) -> None:
    first = post()
    first.save()
    again = post()
    again.stream_id = first.stream_id
    assert unknown_column(MODELS, refused(again)) is None


def test_a_constraint_that_newer_code_added_is_no_column(postgresql: Mode) -> None:
    with connections["read"].cursor() as cursor:
        cursor.execute("ALTER TABLE queries_app_post ADD CHECK (version > 1)")
    assert unknown_column(MODELS, refused(post())) is None


def test_an_error_that_is_not_the_databases_is_no_column() -> None:
    assert unknown_column(MODELS, ValueError("A string literal cannot contain NUL")) is None
