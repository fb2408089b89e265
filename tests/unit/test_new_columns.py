"""A read model's new column has a default in the database, for the old code that runs meanwhile."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from django.db import models

from messaging import checks, codec
from messaging.codec import upcasting
from messaging.projections import columns
from messaging.projections.consuming.code_digest import digest_of
from messaging.testing import registered
from queries_app.models import Comment, Post
from queries_app.projections import posts
from tests.support.newer_fields import added_field


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPinned:
    post_id: UUID


def found() -> list[tuple[Any, str | None]]:
    return [(error.obj, error.id) for error in checks.new_columns_have_defaults()]


def test_the_fields_that_were_there_from_the_beginning_need_none() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        (models.BooleanField(default=False), True),
        (models.IntegerField(), True),
        (models.CharField(max_length=9, blank=True), True),
        (models.BooleanField(db_default=False), True),
        (models.BooleanField(default=False, db_default=False), False),
        (models.TextField(null=True), False),
    ],
    ids=["python's", "none", "blank", "database's-alone", "both", "null"],
)
@pytest.mark.parametrize("model", [Post, Comment])
def test_a_field_that_came_later_does(model: Any, field: Any, wrong: bool) -> None:
    with added_field(model, "pinned", field.clone()):
        assert found() == ([(model, "postlog.E005")] if wrong else [])


def test_a_renamed_field_was_there_from_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db.migrations.operations import CreateModel, RenameField

    operations: list[Any] = [
        RenameField("post", "id", "key"),  # of a model that has gone since
        CreateModel("Post", [("id", models.AutoField()), ("text", models.TextField())]),
        RenameField("post", "text", "message"),
        RenameField("other", "message", "body"),
        RenameField("post", "later", "pinned"),
    ]
    monkeypatch.setattr(columns, "_operations", {"queries_app": operations}.__getitem__)
    assert columns._first_fields.__wrapped__("queries_app", "post") == {"id", "message"}
    assert columns._first_fields.__wrapped__("queries_app", "unknown") is None


def test_a_model_without_a_migration_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_first_fields", columns._first_fields.__wrapped__)
    monkeypatch.setattr(columns, "_operations", {"queries_app": [], "messaging": []}.__getitem__)
    assert found() == []


def test_the_migrations_of_other_apps_do_not_count() -> None:
    """Those that an app's own depend on come before them in the plan."""
    assert columns._first_fields("admin", "logentry")
    assert columns._first_fields("admin", "contenttype") is None


def test_other_columns_events_versions_or_upcasters_are_other_code() -> None:
    mine = digest_of(posts)
    assert digest_of(posts) == mine
    with added_field(Post, "pinned", models.BooleanField(default=False)):
        assert digest_of(posts) != mine
    with registered("posts.post_pinned.v1", PostPinned, stream="post"):
        assert digest_of(posts) != mine
    codec.upcaster("posts.post_liked.v0", "posts.post_liked.v1")(lambda data: data)
    try:
        assert digest_of(posts) != mine
    finally:
        del upcasting._upcasters["posts.post_liked.v0"]
    posts.version += 1
    try:
        assert digest_of(posts) != mine
    finally:
        posts.version -= 1
    assert digest_of(posts) == mine
