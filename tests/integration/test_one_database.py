"""A project that keeps everything in one database: events, read models, people, its own tables."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.support.another_project import SITE, program, run, run_all
from tests.support.modes import postgresql
from tests.support.processes import ROOT, Worker

SETTINGS = "one_database_settings"
PYTHON = Path(sys.executable)
TABLES = """
from django.db import connection
print(*connection.introspection.table_names())
"""
BY_THE_API = """
import json
from django.contrib.auth.models import User
from django.test import Client
client = Client()
client.force_login(User.objects.create_user("ann"))
for number in range(5):
    body = json.dumps({"item": f"tea {number}"})
    answer = client.post("/api/commands/place-order/", body, "application/json")
    assert answer.status_code == 201, answer.content
twice = client.post(
    "/api/commands/place-order/", '{"item": "a", "item": "b"}', "application/json"
)
assert (twice.status_code, twice.json()["type"]) == (400, "client_error"), twice.content
print(answer["Consistency-Token"])
"""
ASKED = """
from django.test import Client
from messaging.testing import wait_until
def ask():
    return Client().get("/api/queries/find-items/", headers={"Consistency-Token": TOKEN})
wait_until(lambda: ask().status_code == 200, "all is shown", 60)
answer = ask()
print(answer.status_code, answer.json()["items"])
"""
THEIRS = """
from django.contrib.auth.models import User
from django.db import connection
from django.test import TestCase, TransactionTestCase

from messaging import mediator
from messaging.bus import current_bus
from messaging.eventstore.models import Event
from messaging.eventstore.triggers import missing_triggers
from messaging.message import Context
from orders.messages import PlaceOrder


class Flushed(TransactionTestCase):
    def placed(self):
        self.assertEqual((User.objects.count(), Event.objects.count()), (0, 0))
        User.objects.create_user("ann")
        mediator.send(PlaceOrder(item="tea"), Context(actor="ann"))
        self.assertEqual(Event.objects.count(), 1)
        self.assertEqual(missing_triggers(connection), [])

    def test_first(self):
        self.placed()

    def test_second(self):
        self.placed()


class RolledBack(TestCase):
    test_first = test_second = Flushed.placed
"""

Ran = Callable[..., str]


def shell(code: str) -> list[str]:
    return ["shell", "-v0", "-c", code]


@pytest.fixture(params=["sqlite", "postgresql"])
def env(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    paths = f"{ROOT}:{SITE}:{os.environ.get('PYTHONPATH', '')}"  # where psycopg 3 is, or nothing
    env = {"PYTHONPATH": paths, "DJANGO_SETTINGS_MODULE": SETTINGS}
    if request.param == "sqlite":
        yield env
        return
    name = f"t{uuid4().hex[:12]}"
    postgresql(f'CREATE DATABASE "{name}"')
    server = urlsplit(os.environ["TEST_POSTGRES"]).netloc.rpartition("@")[2]
    yield {**env, "ORDERS_POSTGRESQL": f"{server}/{name}"}
    postgresql(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def ran(env: dict[str, str], tmp_path: Path) -> Ran:
    def ran(*arguments: str) -> str:
        done: subprocess.CompletedProcess[str] = run(PYTHON, tmp_path, *arguments, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return ran


def test_one_database_serves_both_sides(ran: Ran, env: dict[str, str], tmp_path: Path) -> None:
    _, tables, unmigrated, _, sent = run_all(
        PYTHON,
        tmp_path,
        ["migrate", "-v0"],
        shell(TABLES),
        ["migrate", "--check", "-v0"],
        ["check", "--fail-level", "WARNING", "--database", "default"],
        shell(BY_THE_API),
        **env,
    )
    assert {"auth_user", "orders_order", "messaging_event", "messaging_checkpoint"} <= set(
        tables.split()
    )
    assert unmigrated == ""
    asked = shell(ASKED.replace("TOKEN", repr(sent.split()[-1])))
    rebuilds = [["rebuild", "--from", source] for source in ("log", "store")]
    commands = [asked, *(command for one in rebuilds for command in (one, asked)), ["verify"]]
    with Worker(env, "runconsumer", program=program(PYTHON), folder=tmp_path) as worker:
        shown, from_log, again, from_store, at_last, _ = run_all(PYTHON, tmp_path, *commands, **env)
        worker.process.terminate()
        assert worker.wait() == 0
    wanted = f"200 {[f'tea {number}' for number in range(5)]}"
    assert {shown.strip(), again.strip(), at_last.strip()} == {wanted}
    assert ("5 events" in from_log, "5 events" in from_store) == (True, True)
    status = json.loads(ran("status", "--json"))
    assert (status["lag"], status["dead_letters"], status["outbox"]) == (0, 0, 0)
    assert status["projections"][0]["generation"] == 3


def test_test_cases_of_the_project_empty_our_tables_with_its_own(ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(THEIRS)
    assert "Ran 4 tests" in ran("test", ".", "--no-input")
