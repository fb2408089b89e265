"""What `check` says of the databases, router, handlers and URLs of a project with messaging."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import CheckMessage
from django.test import override_settings

from messaging import checks, message_checks
from messaging.console.checks import a_page_to_sign_in_is_there
from messaging.eventstore.models import Event
from messaging.projections.models import Checkpoint
from queries_app.models import Post
from tests.support.settings import postlog

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
    assert said(checks.databases_are_there, default=one, read=other) == []
    (missing,) = said(checks.databases_are_there, default=one)
    assert missing == "postlog.E002 DATABASES['read'] is missing."
    (same,) = said(checks.databases_are_there, default=one, read=one)
    assert same == "postlog.E002 DATABASES['read'] and DATABASES['default'] are one database."
    with postlog(READ_DATABASE="default"):
        assert said(checks.databases_are_there, default=one) == []
    with postlog(READ_DATABASE="reports"):
        (missing,) = said(checks.databases_are_there, default=one, read=other)
        assert missing == "postlog.E002 DATABASES['reports'] is missing."


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


def test_without_the_read_database_the_router_is_not_blamed(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.router.database_of", lambda _: "default")
    assert said(checks.the_router_knows_both_sides, default=settings.DATABASES["default"]) == []


def test_sqlite_that_reads_before_it_locks_is_warned_of(said: Said) -> None:
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": "x"}
    right = {**sqlite, "OPTIONS": {"transaction_mode": "IMMEDIATE"}}
    check = checks.sqlite_locks_before_it_reads
    assert said(check, default=right, read=right) == []
    (warning,) = said(check, default=right, read=sqlite)
    assert warning.startswith("postlog.W002 DATABASES['read'] begins ")


def test_transactions_around_requests_are_warned_of(said: Said) -> None:
    one = settings.DATABASES["default"]
    check = checks.commands_have_transactions_of_their_own
    assert said(check, default=one, read=one) == []
    (warning,) = said(check, default={**one, "ATOMIC_REQUESTS": True}, read=one)
    assert warning.startswith("postlog.W003 DATABASES['default'] has ATOMIC_REQUESTS")


HANDLER = """
from messaging.mediator import handles
@handles(object)
def handle(command, uow): ...
"""


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("services.py", HANDLER, ["lost.services"]),
        ("deep/inside.py", HANDLER, ["lost.deep.inside"]),
        ("deep/__init__.py", HANDLER, ["lost.deep"]),
        ("tests/test_services.py", HANDLER, []),
        ("services.py", HANDLER.replace("messaging", "celery"), []),
        ("services.py", "from messaging.mediator import send", []),
    ],
)
def test_an_app_whose_handlers_nothing_imports_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, found: list[str]
) -> None:
    assert message_checks.handlers_are_found() == []
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    lost = SimpleNamespace(name="lost", path=str(tmp_path))
    monkeypatch.setattr(checks.apps, "get_app_configs", lambda: [lost])
    assert [one.obj for one in message_checks.handlers_are_found()] == found
    for module in found:
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    assert message_checks.handlers_are_found() == [], "once it is imported"


@pytest.mark.parametrize(
    ("login_url", "right"),
    [
        ("login", True),
        ("/accounts/login/", True),
        ("https://sso.example/in", True),
        ("sign-in", False),
        ("/nowhere/login/", False),
        ("admin:login", False),  # which leads to LOGIN_URL
        ("/admin/login/", False),
    ],
)
def test_a_sign_in_page_that_is_not_there_is_an_error(login_url: str, right: bool) -> None:
    with override_settings(LOGIN_URL=login_url):
        found = [one.id for one in a_page_to_sign_in_is_there()]
    assert found == ([] if right else ["postlog.E008"])
