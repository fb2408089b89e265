"""examples/shop, installed from the wheel: on SQLite with the embedded log, and on PostgreSQL with
Kafka, there by the client of PostgreSQL that these tests use (`make test` runs them with both)."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from tests.support.another_project import build, install, one_after_the_other, printed_by_each
from tests.support.modes import postgresql
from tests.support.processes import ROOT

SHOP = ROOT / "examples" / "shop"
PEOPLE = """
from people.models import User
User.objects.create_user("ann@shop.example")
User.objects.create_user("till@shop.example", is_staff=True)
"""
SHOWN = """
from messaging import ask
from orders.queries import FindMyOrders
from people.models import User
ann = User.objects.get(email="ann@shop.example")
print([(order.what, order.state) for order in ask(FindMyOrders(), asker=ann).results])
"""
Run = Callable[..., str]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wheel = build(tmp_path_factory.mktemp("wheel"))
    folder = tmp_path_factory.mktemp("environment")
    extras = ("api", "kafka", "postgres")
    return install(wheel, folder, "pytest", "pytest-django", extras=extras)


@pytest.fixture(params=["sqlite", "postgresql"])
def run(request: pytest.FixtureRequest, python: Path, tmp_path: Path) -> Iterator[Run]:
    """Runs Python in a copy of the shop, on servers of its own."""
    shop = shutil.copytree(SHOP, tmp_path / "shop")
    name, env = f"t{uuid4().hex[:12]}", {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    env["DJANGO_SETTINGS_MODULE"] = "shop.settings"
    if request.param == "postgresql":
        server = urlsplit(os.environ["TEST_POSTGRES"]).netloc
        env |= {"SHOP_POSTGRESQL": f"{server}/{name}", "SHOP_KAFKA": os.environ["TEST_KAFKA"]}
        postgresql(f'CREATE DATABASE "{name}"')

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [python, *arguments],
            cwd=shop,
            env={**env, "SHOP_TOPIC": name, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    yield run
    if request.param == "postgresql":
        postgresql(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_the_shops_own_tests_pass(run: Run) -> None:
    client = (
        "from django.db.backends.postgresql.psycopg_any import is_psycopg3 as three; print(three)"
    )
    assert run("-c", client).strip() == str(is_psycopg3)
    assert "passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider")


def test_what_is_sent_to_the_shop_is_shown(run: Run, tmp_path: Path) -> None:
    tea = [{"sku": "tea-100", "quantity": 1}]
    order = {"command": "PlaceOrder", "actor": "ann@shop.example", "lines": tea}
    received = {"command": "ReceiveStock", "sku": "tea-100", "quantity": 3}
    lines = [
        {**received, "actor": "ann@shop.example"},  # who may not
        {**received, "actor": "till@shop.example"},
        *({**order, "order": f"order {number}"} for number in range(5)),
        {"command": "PayOrder", "actor": "till@shop.example", "order": "order 0", "cents": 1_200},
        {"command": "CancelOrder", "actor": "ann@shop.example", "order": "order 1"},
    ]
    commands = tmp_path / "commands.jsonl"
    commands.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    run("manage.py", "check", "--fail-level", "WARNING")
    shown = ["shell", "-v0", "-c", SHOWN]
    output = run(
        *one_after_the_other(
            ["migrate", "-v0"],
            ["makemigrations", "--check", "--dry-run"],
            ["shell", "-v0", "-c", PEOPLE],
            ["sendcommands", str(commands)],
            ["runconsumer", "--once"],
            shown,
            ["rebuild", "--from", "log"],
            shown,
            ["rebuild", "--from", "store"],
            shown,
            ["verify"],
            ["status", "--json"],
        )
    )
    _, changes, _, sent, _, consumed, _, from_log, _, from_store, _, status = printed_by_each(
        output
    )
    assert changes.startswith("No changes")
    assert ("out_of_stock: 2" in sent, "permission_denied: 1" in sent) == (True, True), sent
    orders = [("1 tea-100", "placed"), ("1 tea-100", "cancelled"), ("1 tea-100", "paid")]
    assert {consumed.strip(), from_log.strip(), from_store.strip()} == {str(orders)}
    now = json.loads(status)
    assert (now["lag"], now["dead_letters"], now["outbox"]) == (0, 0, 0)
