"""Rebuilds are asked for by staff through the API, by a migration, and by `check`."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import connections, migrations
from django.db.migrations.state import ProjectState
from drf_spectacular.generators import SchemaGenerator

from messaging.bus import current_bus
from messaging.monitoring.models import OperatorAction
from messaging.projections.consuming import checkpoints
from messaging.projections.models import Rebuild
from messaging.projections.registry import PROJECTIONS
from messaging.rebuilding import requests
from messaging.rebuilding.migration_operation import AskForRebuild
from messaging.rebuilding.worker import RebuildWorker
from messaging.testing.waiting import wait_until
from queries_app.projections import posts
from tests.support.api import Api
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.processes import Worker, manage
from tests.support.rebuilding import assert_equals_the_fold, some_posts
from tests.support.relaying import publish_all

URL = "/api/v1/commands/restore-read-db/"


@pytest.fixture
def staff(sqlite: Mode) -> Api:
    return clerk("operator", "add_rebuild", "view_rebuild")


def clerk(name: str, *permissions: str) -> Api:
    """A person of the staff, with these permissions alone."""
    user = get_user_model().objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return Api(name)


def send(api: Api, body: object) -> Any:
    return api.post(URL, json.dumps(body))


def get(api: Api, address: str) -> Any:
    return api.client.get(address, headers=api.headers)


def test_who_asks_while_another_one_ends_gets_one_of_their_own(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, active = requests.ask("posts", "log", "alice"), requests.active

    def just_ended(projection: str) -> Rebuild | None:
        Rebuild.objects.filter(id=first.id).update(state=requests.State.DONE)
        return active(projection)

    monkeypatch.setattr(requests, "active", just_ended)
    second = requests.ask("posts", "log", "bob")
    assert (second.generation, second.asked_by) == (first.generation + 1, "bob")


def test_staff_ask_and_follow_and_ask_again(sqlite: Mode, staff: Api) -> None:
    some_posts()
    publish_all()
    consume_all(posts)
    first = send(staff, {"projection": "posts"})
    assert first.status_code == 202
    rebuild = first.json()["rebuilds"][0]
    assert (rebuild["projection"], rebuild["state"]) == ("posts", "asked")
    assert first["Location"] == rebuild["url"]
    again = send(staff, {"projection": "posts"})
    assert (again.status_code, again.json()) == (202, first.json()), "the running one"
    with Worker(sqlite.env, "runconsumer") as consumer:
        wait_until(lambda: get(staff, rebuild["url"]).json()["state"] == "done", "it is built")
        assert consumer.stop() == 0
    assert_equals_the_fold(posts, rebuild["generation"])
    assert {one["projection"] for one in send(staff, {}).json()["rebuilds"]} == set(PROJECTIONS)
    assert OperatorAction.objects.filter(actor="operator", action="rebuild").count() == 3


def test_others_may_not_and_mistakes_are_named(sqlite: Mode, staff: Api) -> None:
    get_user_model().objects.create_user("somebody", password="x" * 12)
    assert send(Api(), {}).status_code == 401
    assert send(Api("somebody"), {}).status_code == 403
    assert get(Api("somebody"), "/api/v1/rebuilds/1/").status_code == 403
    assert get(staff, "/api/v1/rebuilds/77/").status_code == 404
    unknown = send(staff, {"projection": "nobody"})
    assert unknown.status_code == 400
    assert unknown.json()["errors"][0]["attr"] == "projection"
    assert send(staff, {"projection": 1}).status_code == 400
    assert send(staff, {"other": "x"}).json()["errors"][0]["code"] == "unknown_field"
    assert get(staff, URL).status_code == 405
    assert not Rebuild.objects.exists()


def test_rebuilds_need_the_permissions_that_the_console_asks_for(sqlite: Mode) -> None:
    rebuild = f"/api/v1/rebuilds/{requests.ask('posts', 'log', 'alice').pk}/"
    for name, may_ask, may_look, permissions in (
        ("nothing", 403, 403, []),
        ("looks", 403, 200, ["view_rebuild"]),
        ("asks", 403, 403, ["add_rebuild"]),  # the answer shows rebuilds
        ("both", 202, 200, ["add_rebuild", "view_rebuild"]),
    ):
        api = clerk(name, *permissions)
        assert send(api, {"projection": "posts"}).status_code == may_ask, name
        assert get(api, rebuild).status_code == may_look, name
    get_user_model().objects.filter(username="both").update(is_staff=False)
    assert send(Api("both"), {}).status_code == 403
    refused = get(Api("nothing"), rebuild).json()["errors"][0]
    assert "messaging.view_rebuild" in refused["detail"]


def warnings() -> str:
    out = StringIO()
    call_command("check", stderr=out, stdout=out)
    return out.getvalue()


def test_check_says_when_the_code_is_newer_than_its_rows(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_posts()
    publish_all()
    consume_all(posts)
    assert "W001" not in warnings()
    monkeypatch.setattr(posts, "version", 2)
    assert "postlog.W001" in warnings()
    assert "manage.py rebuild posts" in warnings()
    from tests.support.rebuilding import rebuild

    rebuild(posts, "store")
    assert "W001" not in warnings()


def test_check_needs_no_read_database(sqlite: Mode, tmp_path: Path) -> None:
    env = {**sqlite.env, "READ_DATABASE_URL": f"sqlite:///{tmp_path}/none/so/far.sqlite3"}
    assert manage(env, "check").returncode == 0
    env = {**sqlite.env, "READ_DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}
    assert manage(env, "check").returncode == 0


def test_a_migration_asks_for_a_rebuild_of_what_was_built(database: Mode) -> None:
    operation = AskForRebuild("posts")
    state = ProjectState.from_apps(migrations.state.global_apps)

    def migrate() -> None:
        with connections["read"].schema_editor() as editor:
            operation.database_forwards("queries_app", editor, state, state)
        with connections["default"].schema_editor() as editor:
            operation.database_forwards("queries_app", editor, state, state)

    migrate()
    assert not Rebuild.objects.exists(), "nothing was built yet"
    checkpoints.begin("posts", _identity())
    migrate()
    migrate()
    rebuild = Rebuild.objects.get()
    assert (rebuild.projection, rebuild.generation, rebuild.state) == ("posts", 2, "asked")
    from threading import Event as Flag

    RebuildWorker(current_bus()).run_once(Flag())
    rebuild.refresh_from_db()
    assert rebuild.state == "done"


def _identity():  # type: ignore[no-untyped-def]
    bus = current_bus()
    bus.ensure_topic()
    return bus.identity()


def test_the_answer_is_the_one_that_the_document_promises(staff: Api) -> None:
    """A rename of a variable once renamed the field in the document, not in the answer."""
    schemas = SchemaGenerator().get_schema(request=None, public=True)["components"]["schemas"]
    answer = send(staff, {}).json()
    assert list(answer) == list(schemas["Rebuilds"]["properties"])
    assert list(answer["rebuilds"][0]) == list(schemas["Rebuild"]["properties"])
