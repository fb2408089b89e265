"""What nearly every request asks, by plans that are kept: whose a token is, and a root row."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection as write
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from knox.models import AuthToken

from accounts.authentication import found_token
from messaging import KeptStatement, live, live_root
from messaging.exceptions import ConcurrencyError
from messaging.projections.models import ProjectionState
from queries_app.models import History, Likes, Post
from queries_app.projections import history, likes, posts
from tests.support.api import Api, errors, person
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.relaying import publish_all

ALTER = "ALTER TABLE knox_authtoken ALTER COLUMN digest TYPE text"


def token_of(username: str) -> str:
    return str(AuthToken.objects.create(person(username))[1])


def like(api: Api, post_id: str) -> Any:
    return api.send("like-post", post_id=post_id)


# --- tokens ----------------------------------------------------------------------------------


def test_whose_a_token_is_takes_one_statement_and_the_rest_is_looked_up_when_asked_for(
    database: Mode,
) -> None:
    token = token_of("alice")
    assert found_token("none") is None  # and the plan is made
    with CaptureQueriesContext(write) as asked:
        user, row = found_token(token)
        assert (user.username, user.is_authenticated, user.is_active) == ("alice", True, True)
        assert (row.user, row.pk) == (user, AuthToken.objects.get().pk)
    assert len(asked) == 2, "one is the test's own"
    assert (user, user.is_staff, user.date_joined) == (
        person("alice"), False, person("alice").date_joined
    )  # fmt: skip


def test_a_token_that_was_revoked_is_worth_nothing_at_once(database: Mode) -> None:
    alice = Api("alice")
    post_id = alice.send("new-post", message="Hi").json()["post_id"]
    assert like(alice, post_id).status_code == 200
    AuthToken.objects.all().delete()
    refused = like(alice, post_id)
    assert (refused.status_code, errors(refused)) == (401, [("authentication_failed", None)])


def test_a_token_that_has_expired_is_refused_and_deleted(database: Mode) -> None:
    alice = Api("alice")
    AuthToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    assert alice.send("new-post", message="Hi").status_code == 401
    assert not AuthToken.objects.exists()


def test_of_people_who_were_locked_out_the_refusal_says_so(database: Mode) -> None:
    alice = Api("alice")
    user = person("alice")
    user.is_active = False
    user.save()
    refused = alice.send("new-post", message="Hi")
    assert refused.status_code == 401
    assert "inactive" in refused.json()["errors"][0]["detail"]
    assert found_token(alice.headers["Authorization"].split()[1]) is None


def test_of_tokens_that_begin_alike_each_is_its_own_persons(database: Mode) -> None:
    tokens = {name: token_of(name) for name in ("alice", "bob")}
    AuthToken.objects.update(token_key=tokens["bob"][:15])
    assert found_token(tokens["bob"])[0].username == "bob"
    assert found_token(tokens["bob"][:15] + tokens["alice"][15:]) is None


# --- root rows -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("projection", "model"), [(posts, Post), (likes, Likes), (history, History)]
)
def test_a_root_row_is_the_one_that_the_orm_finds(
    database: Mode, projection: Any, model: Any
) -> None:
    alice = Api("alice")
    post_id = UUID(alice.send("new-post", message="Hi").json()["post_id"])
    like(alice, str(post_id))
    publish_all()
    consume_all(projection)
    found, expected = live_root(projection, post_id), live(projection, model).get()
    names = [field.attname for field in model._meta.concrete_fields]
    values = [(name, getattr(found, name), type(getattr(found, name))) for name in names]
    assert values == [(n, getattr(expected, n), type(getattr(expected, n))) for n in names]
    assert (type(found), found._state.db, found.version) == (model, "read", 2)
    assert not found.get_deferred_fields()
    ProjectionState.objects.filter(name=projection.name).update(live_generation=2)
    assert live_root(projection, post_id) is None, "it is of another generation"


# --- plans -----------------------------------------------------------------------------------


def test_a_plan_that_a_migration_has_ended_is_made_again(postgresql: Mode) -> None:
    token = token_of("alice")
    assert found_token(token)[0].username == "alice"
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE name = 'postlog_token'")
        assert cursor.fetchone() == (1,)
        cursor.execute(ALTER)
    assert found_token(token)[0].username == "alice"


def test_inside_a_transaction_the_end_of_a_plan_is_the_end_of_the_transaction(
    postgresql: Mode,
) -> None:
    statement = KeptStatement("postlog_test", "SELECT digest FROM knox_authtoken WHERE digest = %s")
    assert statement.rows(connections["default"], "x") == []
    with transaction.atomic():
        with connections["default"].cursor() as cursor:
            cursor.execute(ALTER)
        with pytest.raises(ConcurrencyError):
            statement.rows(connections["default"], "x")
    assert statement.rows(connections["default"], "x") == []
