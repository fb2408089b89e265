"""A project whose people have an e-mail address and no username."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from messaging.monitoring.audit import record
from messaging.monitoring.models import OperatorAction
from messaging.projections.models import Rebuild
from messaging.rebuilding import requests
from tests.support.another_project import SITE, run
from tests.support.modes import Mode
from tests.support.processes import ROOT

Found = dict[str, Any]

LIBRARY = ROOT / "tests" / "support" / "library_site"
LONGEST = "o'brien+tag/" + "x" * 232 + "@s.example"
TOM = "tom@shop.example"  # is made by a file of commands
PROGRAM = """
import json
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.test import Client

from messaging import Context, send
from messaging.eventstore.models import Event, LogIdentity, Outbox, Receipt, Snapshot, Stream
from messaging.eventstore.triggers import drop_triggers
from messaging.monitoring.models import OperatorAction
from messaging.projections.models import Rebuild
from messaging.testing import deliver_all
from orders.messages import PlaceOrder

call_command("migrate", verbosity=0)
User = get_user_model()
found = {}

def post(email, **headers):
    client = Client()
    client.force_login(User.objects.filter(email=email).first() or User.objects.create_user(email))
    answer = client.post(
        "/api/commands/place-order/", '{"item": "tea"}', "application/json", headers=headers
    )
    return answer.status_code, answer.json().get("errors", [{}])[0].get("code")

found["answers"] = [
    post("ann@shop.example", **{"Idempotency-Key": "one"}),
    post("ann@shop.example", **{"Idempotency-Key": "one"}),
    post(LONGEST),
]
found["too_long"] = [post(LONGEST + "z", **{"Idempotency-Key": "two"}), post(LONGEST + "z")]
found["longer"] = sum(
    model.objects.filter(actor__startswith=LONGEST + "z").count() for model in (Event, Receipt)
)
boss = Client()
boss.force_login(User.objects.create_superuser("boss@shop.example"))
answer = boss.post("/api/commands/restore-read-db/", {}, "application/json")
asked = Rebuild.objects.get().asked_by
found["asked"] = [answer.status_code, OperatorAction.objects.get().actor, asked]
send(PlaceOrder(item="salt"), Context(actor="nightly"))
with open("lines.jsonl", "w") as lines:
    for actor in (TOM, "nightly"):
        lines.write(json.dumps({"command": "PlaceOrder", "actor": actor, "item": "figs"}) + "\\n")
call_command("sendcommands", "lines.jsonl", verbosity=0)
found["actors"] = sorted(Event.objects.values_list("actor", flat=True))
found["receipts"] = sorted(set(Receipt.objects.values_list("actor", flat=True)))
found["people"] = sorted(User.objects.values_list("email", flat=True))
deliver_all()

# The database is lost, and a new one completed from the log.
drop_triggers(connection)
for model in (Event, Stream, Outbox, Receipt, Snapshot, LogIdentity, User):
    model.objects.all().delete()
call_command("restore-events", verbosity=0)
found["restored"] = sorted(Event.objects.values_list("actor", flat=True))
found["people_again"] = sorted(User.objects.values_list("email", flat=True))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    done: subprocess.CompletedProcess[str] = run(
        Path(sys.executable),
        tmp_path_factory.mktemp("email"),
        "shell",
        "-v0",
        "-c",
        f"LONGEST, TOM = {LONGEST!r}, {TOM!r}\n{PROGRAM}",
        settings="email_settings",
        PYTHONPATH=f"{ROOT}:{SITE}:{LIBRARY}",
    )
    assert done.returncode == 0, done.stderr
    answer: Found = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_the_address_is_the_actor_of_events_and_receipts(found: Found) -> None:
    assert found["answers"] == [[201, None]] * 3
    assert found["actors"] == sorted(["ann@shop.example", LONGEST, TOM, "nightly", "nightly"])
    assert found["receipts"] == ["ann@shop.example", "nightly", TOM]


def test_one_that_no_column_holds_is_refused_and_nothing_is_stored(found: Found) -> None:
    assert found["too_long"] == [[400, "invalid_actor"]] * 2
    assert found["longer"] == 0


def test_staff_asks_for_a_rebuild_by_it(found: Found) -> None:
    assert found["asked"] == [202, "boss@shop.example", "boss@shop.example"]


def test_a_restored_store_has_accounts_of_people_and_none_of_machines(found: Found) -> None:
    people = sorted(["ann@shop.example", "boss@shop.example", LONGEST, TOM])
    assert found["people"] == sorted([*people, LONGEST + "z"])
    assert found["restored"] == found["actors"]
    people.remove("boss@shop.example")
    assert found["people_again"] == people, "who has done something"


def test_the_name_of_an_operator_is_cut_to_what_the_columns_hold(database: Mode) -> None:
    record("x" * 300, "rebuild")
    requests.ask("posts", Rebuild.Source.LOG, "x" * 300)
    assert OperatorAction.objects.get().actor == Rebuild.objects.get().asked_by == "x" * 254
