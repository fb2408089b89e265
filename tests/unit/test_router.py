"""Which model lives in which database, in a project that has apps and databases of its own too."""

import pytest
from django.db import models
from django.db.migrations.operations import CreateModel
from django.db.migrations.state import ProjectState

from accounts.models import User
from messaging.eventstore.models import Event
from messaging.projections.models import Checkpoint
from messaging.router import SplitRouter
from queries_app.models import Comment

router = SplitRouter()
ALIASES = ("default", "read", "legacy")


@pytest.mark.parametrize(
    ("app", "name", "answers"),
    [
        ("messaging", "event", (True, False, False)),
        ("messaging", "Checkpoint", (False, True, False)),
        ("queries_app", "Comment", (False, True, False)),
        ("accounts", "User", (None, False, None)),
        # Of an operation that names no model: wherever its app has a table.
        ("messaging", None, (True, True, False)),
        ("queries_app", None, (False, True, False)),
        ("accounts", None, (None, False, None)),
        ("staticfiles", None, (None, False, None)),
    ],
)
def test_a_table_is_made_in_one_database_and_those_of_other_apps_are_djangos_business(
    app: str, name: str | None, answers: tuple[bool | None, ...]
) -> None:
    assert tuple(router.allow_migrate(alias, app, name) for alias in ALIASES) == answers


def test_queries_of_other_apps_models_are_left_to_other_routers() -> None:
    found = [router.db_for_read(model) for model in (Event, Checkpoint, Comment, User)]
    assert found == ["default", "read", "read", None]
    assert router.allow_relation(User(), User()) is None
    assert router.allow_relation(Event(), User()) is False
    assert router.allow_relation(Comment(), Checkpoint()) is True


def test_a_read_model_that_is_gone_is_deleted_where_it_was_made() -> None:
    """The models of migrations have no base classes to be known by."""
    fields = [("generation", models.IntegerField()), ("stream_id", models.UUIDField())]
    state = ProjectState()
    CreateModel("Gone", [("id", models.AutoField(primary_key=True)), *fields]).state_forwards(
        "queries_app", state
    )
    CreateModel("Total", [("id", models.AutoField(primary_key=True)), fields[0]]).state_forwards(
        "queries_app", state
    )
    CreateModel("Other", [("id", models.AutoField(primary_key=True))]).state_forwards(
        "queries_app", state
    )
    here = (False, True, False)
    for name, answers in (("gone", here), ("total", here), ("other", (None, False, None))):
        model = state.apps.get_model("queries_app", name)
        found = tuple(
            router.allow_migrate(alias, "queries_app", model_name=name, model=model)
            for alias in ALIASES
        )
        assert found == answers
