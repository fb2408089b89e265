"""The console leads from an id to its page, from a span of time to its rows; no list reads a whole
table for it."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Permission
from django.db import connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from commands_app.commands import AddComment, EditMessage, NewPost
from messaging import mediator
from messaging.eventstore.models import Event, Outbox, Receipt, Stream
from messaging.exceptions import NotFound
from messaging.message import Context, utc_now
from messaging.monitoring import finding
from messaging.monitoring.finding import find_event, first_since, time_of
from messaging.monitoring.models import OperatorAction
from messaging.projections.models import Checkpoint, DeadLetter, Discarded, ProjectionState, Rebuild
from messaging.workers.models import Heartbeat
from tests.support.api import person
from tests.support.console import signed_in, url
from tests.support.modes import Mode

ALICE = Context(actor="alice")
FIND = "/admin/find/"
NO_ID = (
    "nonsense",
    "42",
    "x" * 5_000,
    "'; DROP TABLE messaging_event; --",
    "<script>",
    "١٢٣",
    "%s",
)


def led(client: Client, term: object) -> str:
    return str(client.get(FIND, {"q": str(term)}).headers.get("Location"))


def answer(client: Client, term: str) -> str:
    found = client.get(FIND, {"q": term})
    assert found.status_code == 200, ascii(term)
    return found.content.decode()


def test_an_id_leads_to_its_page(database: Mode) -> None:
    root, chosen = signed_in(is_superuser=True), uuid4()
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    comment = AddComment(post_id=post_id, text="b")
    mediator.send(comment, Context(actor="bob", command_id=chosen, correlation_id=uuid4()))
    refused = Context(actor="bob", command_id=uuid4())
    with pytest.raises(NotFound):
        mediator.send(EditMessage(post_id=uuid4(), message="x"), refused)
    first, second = Event.objects.order_by("position")
    assert led(root, post_id) == url(Stream, post_id, "change")
    assert led(root, f"  {{{str(post_id).upper()}}} ") == url(Stream, post_id, "change")
    for event, one in ((first, first.event_id), (first, first.command_id), (second, chosen),
                       (second, second.event_id), (second, second.correlation_id)):  # fmt: skip
        assert led(root, one) == url(Event, event.position, "trace")
    receipt = Receipt.objects.get(command_id=refused.command_id)
    assert led(root, refused.command_id) == url(Receipt, receipt.pk, "change")
    for nonsense in NO_ID:
        assert "is no id. An id has 32" in answer(root, nonsense), ascii(nonsense)
    unknown = str(uuid4())
    assert f"manage.py trace {unknown} reads all of them" in answer(root, unknown)
    assert "is no id" not in answer(root, " ")
    assert root.get(f"{FIND}?q=%00%ff").status_code < 500


def test_who_may_view_less_is_led_to_less(sqlite: Mode) -> None:
    post_id = mediator.send(NewPost(message="a"), ALICE).stream_id
    event, clerk = Event.objects.get(), signed_in("clerk")
    assert clerk.get(FIND, {"q": str(post_id)}).status_code == 403
    assert FIND not in clerk.get("/admin/").content.decode()
    person("clerk").user_permissions.add(Permission.objects.get(codename="view_event"))
    assert FIND in clerk.get("/admin/").content.decode()
    assert "Nothing that you may view" in answer(clerk, str(post_id))
    assert led(clerk, event.event_id) == url(Event, event.position, "change"), "not the trace"
    assert Client().get(FIND).status_code == 302


def test_an_event_is_found_far_from_the_newest_without_reading_the_table(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "NEWEST", 2)
    chosen = Context(actor="alice", command_id=uuid4())
    post_id = mediator.send(NewPost(message="0"), chosen).stream_id
    for number in range(1, 12):
        mediator.send(EditMessage(post_id=post_id, message=str(number)), ALICE)
    events = list(Event.objects.order_by("position"))
    with CaptureQueriesContext(connections["default"]) as queries:
        for event in events:
            for one in (event.event_id, event.command_id):
                assert find_event(one) == event
    wheres = [one["sql"].partition(" WHERE ")[2] for one in queries if "event_id" in one["sql"]]
    assert wheres
    assert all('"position" >=' in one or '"stream_id" =' in one for one in wheres), wheres
    assert find_event(uuid4()) is None
    # Of an id that tells no time, and that no receipt leads on from.
    Receipt.objects.all().delete()
    assert find_event(chosen.command_id) is None  # type: ignore[arg-type]  # it was chosen
    assert find_event(chosen.command_id, everywhere=True) == events[0]  # type: ignore[arg-type]


def test_the_first_row_since_a_moment_is_found_by_halving(sqlite: Mode) -> None:
    now = utc_now()
    rows = OperatorAction.objects.all()
    assert first_since(rows, "at", now) == 0
    for minutes in range(100, 0, -1):
        one = OperatorAction.objects.create(actor="root", action="rebuild")
        OperatorAction.objects.filter(pk=one.pk).update(at=now - timedelta(minutes=minutes))
    OperatorAction.objects.filter(pk__in=range(20, 40)).delete()
    keys = list(rows.order_by("pk").values_list("pk", "at"))
    for wanted, at in keys:
        assert first_since(rows, "at", at) == wanted or wanted == 40
    assert first_since(rows, "at", now) == keys[-1][0] + 1
    with CaptureQueriesContext(connections["default"]) as queries:
        first_since(rows, "at", now - timedelta(minutes=50))
    assert len(queries) < 12


def test_only_ids_that_are_made_of_a_time_tell_one() -> None:
    event_id = UUID("01a20892-7c3e-7d41-9f56-3a1b2c4d5e6f")
    assert str(time_of(event_id)) == "2026-11-23 13:22:27.518000+00:00"
    assert time_of(uuid4()) is None
    assert time_of(UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")) is None


def test_links_lead_to_what_came_lately_and_to_a_type(database: Mode) -> None:
    root, now = signed_in(is_superuser=True), utc_now()
    for minutes in (6_000, 600, 10.1, 5):
        one = OperatorAction.objects.create(actor="root", action="rebuild")
        OperatorAction.objects.filter(pk=one.pk).update(at=now - timedelta(minutes=minutes))
    mediator.send(NewPost(message="a"), ALICE)

    def count(model: Any, query: str) -> int:
        page = root.get(f"{url(model)}?{query}")
        assert page.status_code == 200, query
        return len(page.context["cl"].result_list)

    spans = {"since=10m": 1, "since=1h": 2, "since=1d": 3, "": 4, "since=nonsense": 4}
    assert {span: count(OperatorAction, span) for span in spans} == spans
    types = {"type=posts.post_created.v1": 1, "type=posts.post_liked.v1": 0, "type=nonsense": 1}
    assert {one: count(Event, one) for one in types} == types
    assert count(Event, "since=10m&type=posts.post_created.v1") == 1
    assert root.get(f"{url(Event)}?_facets=True").status_code == 200
    text = root.get(url(Event)).content.decode()
    assert "Last 10 minutes" in text
    recorded = Event.objects.get().recorded_at
    assert f"{recorded:%Y-%m-%d %H:%M:%S}" in text


ASKED = {
    Stream: ["", f"q={uuid4()}"],
    Event: ["", f"q={uuid4()}", "q=7", "q=alice", "since=1h", "type=posts.post_created.v1"],
    Outbox: [""],
    Receipt: ["", f"q={uuid4()}", "q=alice", "since=1h"],
    OperatorAction: ["", "q=root", "since=1h"],
    Heartbeat: [""],
    ProjectionState: [""],
    Checkpoint: [""],
    DeadLetter: ["", f"q={uuid4()}", "since=1h", "projection=posts"],
    Discarded: ["", "since=1h", "projection=posts"],
    Rebuild: ["", "state=done"],
}


def test_no_list_reads_a_table_without_an_index(database: Mode) -> None:
    """With sequential reading forbidden, the plan has one only where no index serves."""
    if database.vendor != "postgresql":
        pytest.skip("SQLite's plans call it a scan, too, to follow the key up to a limit.")
    root = signed_in(is_superuser=True)
    mediator.send(NewPost(message="a"), ALICE)
    asked = []
    for model, queries in ASKED.items():
        alias = model.objects.db
        for query in queries:
            with CaptureQueriesContext(connections[alias]) as captured:
                assert root.get(f"{url(model)}?{query}").status_code == 200
            wanted = re.compile(rf'FROM "{model._meta.db_table}"')
            found = [q["sql"] for q in captured if wanted.search(q["sql"])]
            # What groups dead letters by cause reads the first of each stream, up to a limit.
            asked += [(alias, sql) for sql in found if "NOT EXISTS" not in sql]
    assert len(asked) > 60
    for alias, sql in asked:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
            cursor.execute(f"EXPLAIN {sql}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "Seq Scan" not in plan, f"{sql}\n{plan}"
        assert "Sort" not in plan or "Index Cond" in plan, f"{sql}\n{plan}"


def test_the_index_is_by_task_and_the_last_ten_actions_stand_beside_it(sqlite: Mode) -> None:
    root = signed_in(is_superuser=True)
    for number in range(12):
        OperatorAction.objects.create(actor="carol", action=f"rebuild {number}", detail="<b>")
    text = root.get("/admin/").content.decode()
    order = ["Act</a>", "Dead letters</a>", "Record</a>", "Events</a>", "People</a>", "Users</a>",
             "Inside</a>", "Checkpoints</a>"]  # fmt: skip
    places = [text.index(one) for one in order]
    assert places == sorted(places)
    assert [f"<b>rebuild {number}</b>" in text for number in range(12)] == [False] * 2 + [True] * 10
    assert "&lt;b&gt;" in text
    assert root.get("/admin/messaging/").status_code == 200
    clerk = signed_in("clerk")
    person("clerk").user_permissions.add(Permission.objects.get(codename="view_event"))
    text = clerk.get("/admin/").content.decode()
    assert "carol" not in text
    assert "People</a>" not in text
