"""messaging in a project of another domain, which sets nothing of Postlog's."""

import json
from pathlib import Path

import pytest

from tests.support.another_project import ENV, program, run
from tests.support.processes import Worker
from tests.support.waiting import wait_until

SEND = """
from messaging import mediator
from messaging.message import Context
from orders.messages import PlaceOrder
for number in range(5):
    mediator.send(PlaceOrder(item=f"tea {number}"), Context(actor="ann"))
"""
SHOW = """
from messaging.projections.registry import PROJECTIONS
from messaging.projections.serving.live import live
from orders.models import Order
print(sorted(live(PROJECTIONS["orders"], Order).values_list("item", flat=True)))
"""


def ran(folder: Path, *arguments: str) -> str:
    done = run(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shown(folder: Path) -> str:
    return ran(folder, "shell", "-v0", "-c", SHOW).strip()


def test_nothing_need_be_set_beside_apps_databases_and_router(tmp_path: Path) -> None:
    done = run(tmp_path, "check", "--fail-level", "WARNING")
    assert (done.returncode, done.stderr) == (0, "")


NOT_ON_SQLITE = ("psycopg2", "psycopg", "kafka", "fcntl", "rest_framework", "redis")


@pytest.mark.parametrize("command", ["check", "runconsumer --help", "rebuild --help"])
def test_on_sqlite_no_client_of_postgresql_and_no_lock_of_unix_is_imported(
    tmp_path: Path, command: str
) -> None:
    done = run(tmp_path, *command.split(), without=NOT_ON_SQLITE)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_project_of_another_domain_works_on_the_defaults(tmp_path: Path) -> None:
    orders = str([f"tea {number}" for number in range(5)])
    ran(tmp_path, "migrate", "-v0")
    assert ran(tmp_path, "makemigrations", "--check", "--dry-run").startswith("No changes")
    ran(tmp_path, "shell", "-v0", "-c", SEND)
    assert "start `manage.py runconsumer`" in ran(tmp_path, "status")
    with Worker(ENV, "runconsumer", program=program(), folder=tmp_path) as worker:
        wait_until(lambda: shown(tmp_path) == orders, "all orders are shown", 60)
        worker.process.terminate()
        assert worker.wait() == 0
    for source in ("log", "store"):
        assert "5 events" in ran(tmp_path, "rebuild", "--from", source)
        assert shown(tmp_path) == orders
    ran(tmp_path, "verify")
    status = json.loads(ran(tmp_path, "status", "--json"))
    assert (status["lag"], status["dead_letters"], status["outbox"]) == (0, 0, 0)
    assert status["projections"][0]["generation"] == 3
