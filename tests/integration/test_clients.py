"""Django's client of PostgreSQL: psycopg 2, or psycopg 3 where that is installed beside it."""

import os

import pytest
from django.db import DataError, connections

from commands_app.commands import NewPost
from messaging import mediator
from messaging.dialect.psycopg import copy_text
from messaging.exceptions import Pooled
from messaging.message import Context
from tests.support.modes import Mode


def client() -> str:
    return str(connections["default"].Database.__version__)


@pytest.mark.skipif(not os.environ.get("TEST_PSYCOPG"), reason="any will do")
def test_the_client_is_the_one_that_this_run_is_for(postgresql: Mode) -> None:
    assert client().startswith(os.environ["TEST_PSYCOPG"] + ".")


def test_plans_are_kept_with_either_client(postgresql: Mode) -> None:
    for _ in range(2):
        mediator.send(NewPost(message="Hi"), Context(actor="alice"))
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'postlog%'")
        assert cursor.fetchone()[0] >= 3


def test_a_plan_that_a_pooler_took_away_is_named_as_that(postgresql: Mode) -> None:
    mediator.send(NewPost(message="Hi"), Context(actor="alice"))
    with connections["default"].cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")  # as in a session that is another one
    with pytest.raises(Pooled, match="LOCK_DATABASE"):
        mediator.send(NewPost(message="Hi"), Context(actor="alice"))


def test_a_plan_that_a_pooler_brought_from_elsewhere_is_named_as_that(postgresql: Mode) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("PREPARE postlog_begin AS SELECT 1")
    with pytest.raises(Pooled, match="LOCK_DATABASE"):
        mediator.send(NewPost(message="Hi"), Context(actor="alice"))


def test_what_copy_refuses_is_an_error_of_django(postgresql: Mode) -> None:
    with pytest.raises(DataError):
        copy_text(connections["default"], "COPY messaging_outbox FROM STDIN", "no number\n")
