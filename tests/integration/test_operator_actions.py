"""Whatever an operator does is recorded, wherever it is done: in the shell, console or API."""

import getpass
import json
import os
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from django.contrib import admin
from django.core.management import get_commands
from django.urls import reverse

from commands_app.commands import NewPost
from messaging import mediator
from messaging.admin.action_admin import ActionAdmin
from messaging.eventstore.models import Stream
from messaging.message import Context
from messaging.monitoring.models import OperatorAction
from messaging.projections.models import DeadLetter
from messaging.rebuilding import requests
from tests.support.api import Api, person
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.parked import created, poison
from tests.support.processes import here
from tests.support.records import publish
from tests.support.relaying import publish_all

Act = Callable[[], object]

# The commands that change how things stand, and those that look, send or work.
OPERATING = {"rebuild", "republish", "deadletters", "restore-events", "reject-record",
             "importevents"}  # fmt: skip
NOT_OPERATING = {"status", "verify", "runconsumer", "runrelay", "sendcommands", "demo", "migrate",
                 "trace", "startaggregate", "events"}  # fmt: skip


@pytest.fixture
def letter(sqlite: Mode) -> int:
    """A stored and shown post, and a dead letter of another stream."""
    mediator.send(NewPost(message="stored"), Context(actor="alice"))
    publish_all()
    bad = uuid4()
    publish(created(bad), poison(bad, 2))
    consume_all()
    get = person("root")
    get.is_staff = get.is_superuser = True
    get.save()
    return DeadLetter.objects.get().pk


def stored() -> UUID:
    return Stream.objects.values_list("stream_id", flat=True)[0]


def shell(*arguments: str) -> Act:
    """`LETTER`, `STREAM`, `PARTITION`, `OFFSET` and `EVENT` stand for ids."""

    def run() -> None:
        parked = DeadLetter.objects.get()
        ids = {
            "STREAM": str(stored()),
            "LETTER": str(parked.pk),
            "PARTITION": str(parked.partition),
            "OFFSET": str(parked.offset),
            "EVENT": str(parked.event_id),
        }
        here(*(ids.get(one, one) for one in arguments))

    return run


def button(name: str, on: Callable[[], int] | None = None) -> Act:
    def press() -> None:
        api = Api()
        api.client.force_login(person("root"))
        address = reverse(f"admin:messaging_{name}", args=[on()] if on else [])
        assert api.client.post(address, {"projection": "posts"}).status_code == 302

    return press


def the_letter() -> int:
    return int(DeadLetter.objects.values_list("pk")[0][0])


def a_rebuild() -> int:
    return (requests.active("posts") or requests.ask("posts", "log", "somebody")).pk


def restore_read_db() -> None:
    body = json.dumps({"projection": "posts"})
    assert Api("root").post("/api/v1/commands/restore-read-db/", body).status_code == 202


SHELL = f"{getpass.getuser()} (shell)"
ACTIONS: list[tuple[Act, str, str, str]] = [
    (shell("rebuild", "posts"), SHELL, "rebuild", "posts from the log"),
    (shell("rebuild", "posts", "--from", "store"), SHELL, "rebuild", "posts from the store"),
    (
        shell("rebuild", "posts", "--from", "store", "--accept-going-back"),
        SHELL, "rebuild", "posts from the store, accept going back",
    ),
    (shell("rebuild", "posts", "--cancel"), SHELL, "cancel a rebuild", "posts"),
    (shell("republish", "STREAM"), SHELL, "republish", "{stream}"),
    (shell("republish", "--all"), SHELL, "republish", "all"),
    (shell("deadletters", "retry", "LETTER"), SHELL, "retry dead letters", "[{letter}]"),
    (shell("deadletters", "retry", "--all"), SHELL, "retry dead letters", "all"),
    (shell("deadletters", "discard", "LETTER"), SHELL, "discard a dead letter", ""),
    (shell("restore-events"), SHELL, "restore-events", ""),
    (shell("reject-record", "PARTITION", "OFFSET", "EVENT"), SHELL, "reject-record", ""),
    (restore_read_db, "root", "rebuild", "posts"),
    (button("deadletter_retry", the_letter), "root", "dead letter: retry", ""),
    (button("deadletter_discard", the_letter), "root", "dead letter: discard", ""),
    (button("deadletter_retry-all"), "root", "dead letter: retry-all", "'posts'"),
    (button("rebuild_log"), "root", "rebuild: log", "'posts'"),
    (button("rebuild_store"), "root", "rebuild: store", "'posts'"),
    (button("rebuild_cancel", a_rebuild), "root", "rebuild: cancel", ""),
]  # fmt: skip


@pytest.mark.parametrize(("act", "actor", "action", "detail"), ACTIONS)
def test_what_an_operator_does_is_recorded(
    act: Act, actor: str, action: str, detail: str, letter: int
) -> None:
    told = detail.format(letter=letter, stream=stored())
    act()
    recorded = OperatorAction.objects.get()
    assert (recorded.actor, recorded.action) == (actor, action)
    assert recorded.detail == told if told else recorded.detail or action == "restore-events"


def test_the_rebuild_that_is_asked_of_a_running_one_is_recorded_too(letter: int) -> None:
    a_rebuild()
    restore_read_db()
    shell("rebuild", "posts", "--cancel")()
    assert list(OperatorAction.objects.order_by("id").values_list("action", flat=True)) == [
        "rebuild", "cancel a rebuild",
    ]  # fmt: skip


def test_every_command_and_button_is_looked_at_here() -> None:
    ours = {name for name, app in get_commands().items() if app in ("messaging", "commands_app")}
    assert ours == OPERATING | NOT_OPERATING
    buttons = {
        f"{one.opts.verbose_name}: {b.name}"
        for one in admin.site._registry.values()
        if isinstance(one, ActionAdmin)
        for b in (*one.row_buttons, *one.list_buttons)
    }
    assert buttons <= {action for _, _, action, _ in ACTIONS}


@pytest.mark.parametrize("arguments", [["rebuild", "posts"], ["republish", "--all"]])
def test_an_operator_without_a_name_is_recorded_all_the_same(
    arguments: list[str], letter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a container's user is, whose id stands in no /etc/passwd."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2_000_000_123)
    done = here(*arguments)
    assert done.returncode == 0, done.stderr
    assert OperatorAction.objects.get().actor == "unknown (shell)"
