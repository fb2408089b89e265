"""What `check` says of the databases and the router of a project that uses messaging."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import CheckMessage

from messaging import checks
from messaging.eventstore.models import Event
from messaging.projections.models import Checkpoint
from queries_app.models import Post


Said = Callable[..., list[str]]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    """What a check says of these DATABASES."""

    def run(check: Callable[[], list[CheckMessage]], **databases: dict[str, Any]) -> list[str]:
        monkeypatch.setattr(settings, "DATABASES", databases)
        return [f"{one.id} {one.msg}" for one in check()]

    return run


def test_a_read_database_that_is_missing_or_the_write_database_is_an_error(said: Said) -> None:
    one, other = settings.DATABASES["default"], settings.DATABASES["read"]
    assert said(checks.databases_are_two, default=one, read=other) == []
    (missing,) = said(checks.databases_are_two, default=one)
    assert missing == "postlog.E002 DATABASES['read'] is missing."
    (same,) = said(checks.databases_are_two, default=one, read=one)
    assert same == "postlog.E002 DATABASES['read'] and DATABASES['default'] are one database."


def test_a_router_that_puts_either_side_elsewhere_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The read side would move checkpoints in one database and look for them in another."""
    assert checks.the_router_knows_both_sides() == []
    misplaced = {"default": (True, True, False), "read": (False, False, True)}
    for wrong, expected in misplaced.items():
        monkeypatch.setattr("messaging.router.database_of", lambda _, to=wrong: to)
        errors = checks.the_router_knows_both_sides()
        named = {one.obj for one in errors}
        assert {one.id for one in errors} == {"postlog.E007"}
        assert (Checkpoint in named, Post in named, Event in named) == expected
        assert all("messaging.router.SplitRouter" in str(one.hint) for one in errors)


def test_sqlite_that_reads_before_it_locks_is_warned_of(said: Said) -> None:
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": "x"}
    right = {**sqlite, "OPTIONS": {"transaction_mode": "IMMEDIATE"}}
    check = checks.sqlite_locks_before_it_reads
    assert said(check, default=right, read=right) == []
    (warning,) = said(check, default=right, read=sqlite)
    assert warning.startswith("postlog.W002 DATABASES['read'] begins ")
