"""The admin shows the record and changes nothing of it, whoever asks and however."""

from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.admin import site
from django.contrib.auth.models import Group, Permission
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken

from accounts.models import User
from commands_app.commands import AddComment, EditMessage, NewPost
from messaging import mediator
from messaging.admin import readonly_admin
from messaging.eventstore.models import Event, Outbox, Receipt, Stream
from messaging.message import Context, utc_now
from messaging.monitoring.models import OperatorAction
from messaging.projections.models import (
    Checkpoint,
    DeadLetter,
    Discarded,
    ProjectionState,
    Rebuild,
)
from messaging.workers.models import Heartbeat
from tests.support.api import person
from tests.support.console import NEW, PASSWORD, PROFILE, signed_in, url
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.relaying import publish_all

RECORD = [
    Stream, Event, Outbox, Receipt, OperatorAction, Heartbeat,
    ProjectionState, Checkpoint, DeadLetter, Discarded, Rebuild,
]  # fmt: skip


@pytest.fixture
def root(database: Mode) -> Client:
    """A superuser, and a row in every table of the record."""
    ids = mediator.send(NewPost(message="First"), Context(actor="alice", command_id=uuid4())).ids
    publish_all()
    consume_all()
    mediator.send(AddComment(text='<b>"Hi"</b>', **ids), Context(actor="bob"))
    DeadLetter.objects.create(
        projection="posts", generation=1, stream_id=uuid4(), version=2, event_id=uuid4(),
        partition=0, offset=7, key=b"\xff", value=b"\xff\x00{", code="unreadable", reason="Broken.",
    )  # fmt: skip
    Discarded.objects.create(projection="posts", event_id=uuid4(), stream_id=uuid4(), version=1)
    Rebuild.objects.create(projection="posts", generation=2, source="log", asked_by="root")
    OperatorAction.objects.create(actor="root", action="rebuild", detail="posts")
    Heartbeat.objects.create(
        role="relay", process="here 1", active=True, since=utc_now(), beat_at=utc_now()
    )
    return signed_in(is_superuser=True)


def change_page(model: Any) -> str:
    return url(model, str(model.objects.first().pk), "change")


def stored() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in RECORD]


# --- reading ---------------------------------------------------------------------------------


def test_every_page_of_the_record_answers(root: Client) -> None:
    for model in RECORD:
        row_page = change_page(model)
        for page in (url(model), row_page, row_page.replace("change", "history")):
            assert root.get(page).status_code == 200, page


def test_every_other_page_of_the_admin_answers(root: Client) -> None:
    user = person("alice")
    pages = [
        "/admin/",
        change_page(User),
        url(User, user.pk, "password"),
    ]
    for model in apps.get_models():
        if model in site._registry:
            pages.append(url(model))
            if model not in RECORD:
                pages.append(url(model, "add"))
    assert url(Checkpoint) in pages
    for page in pages:
        assert root.get(page).status_code == 200, page


def test_a_stream_leads_to_its_events_and_an_event_to_its_payload(root: Client) -> None:
    stream = Stream.objects.get()
    first, second = Event.objects.order_by("version")
    page = root.get(change_page(Stream)).content.decode()
    assert page.index(url(Event, second.pk, "change")) < page.index(url(Event, first.pk, "change"))
    page = root.get(url(Event, second.pk, "change")).content.decode()
    assert url(Stream, stream.pk, "change") in page
    assert "&lt;b&gt;\\&quot;Hi\\&quot;&lt;/b&gt;" in page
    assert "<b>" not in page


def test_a_dead_letter_that_is_no_json_is_shown_as_it_is(root: Client) -> None:
    page = root.get(change_page(DeadLetter)).content.decode()
    assert "\\xff" in page
    assert "Broken." in page


def test_people_of_the_staff_see_what_they_may_view(root: Client) -> None:
    staff = signed_in("clerk")
    for model in RECORD:
        assert staff.get(url(model)).status_code == 403
        view = Permission.objects.get(
            codename=f"view_{model._meta.model_name}", content_type__app_label=model._meta.app_label
        )
        person("clerk").user_permissions.add(view)
        assert staff.get(url(model)).status_code == 200
        assert staff.get(change_page(model)).status_code == 200


def test_who_is_not_of_the_staff_sees_nothing(root: Client) -> None:
    client = Client()
    client.force_login(person("alice"))
    for model in RECORD:
        assert client.get(url(model)).status_code == 302


# --- searching -------------------------------------------------------------------------------


def found(client: Client, model: Any, term: str) -> int:
    answer = client.get(url(model), {"q": term})
    assert answer.status_code == 200
    return len(answer.context["cl"].result_list)


def test_events_are_found_by_stream_position_actor_and_type(root: Client) -> None:
    first = Event.objects.order_by("position").first()
    assert first is not None
    assert found(root, Event, str(first.stream_id)) == 2
    assert found(root, Event, str(first.position)) == 1
    assert found(root, Event, "alice") == 1
    assert found(root, Event, "posts.comment_added.v1") == 1
    assert found(root, Event, "ali") == 0
    assert found(root, Stream, f" {first.stream_id} ") == 1
    assert found(root, Receipt, "alice") == 1
    assert found(root, Receipt, "bob") == 0, "bob's command had no id that he chose"
    dead_letter = DeadLetter.objects.get()
    assert found(root, DeadLetter, str(dead_letter.stream_id)) == 1


def test_no_search_fails(root: Client) -> None:
    for term in ("%", "9" * 30, "²", "\ud800", "-1", "{", "x" * 5_000, "9" * 5_000, "٣"):
        quoted = term.encode("utf-8", "surrogatepass").hex("%")
        for model in RECORD:  # those without a field to search as well
            assert root.get(f"{url(model)}?q=%{quoted}").status_code == 200, ascii(term)


def test_a_list_is_asked_for_nothing_that_cannot_be(root: Client) -> None:
    for model, field in ((User, "date_joined"), (AuthToken, "created")):
        for year in ("0", "10000"):
            assert root.get(f"{url(model)}?{field}__year={year}").status_code == 400
    word = {"action": "delete_selected", "_selected_action": "x", "post": "yes"}
    assert root.post(url(Group), word).status_code == 400


def test_a_row_that_is_not_there_leads_back(root: Client) -> None:
    for pk in ("x", "0", "9" * 30, "-1", "0" * 32, "_00"):
        for model in RECORD:
            assert root.get(url(model, pk, "change")).status_code == 302, pk


def test_a_list_counts_and_sorts_no_further_than_its_limit(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_id = mediator.send(NewPost(message="0"), Context(actor="carol")).ids["post_id"]
    for number in range(1, 120):
        mediator.send(EditMessage(post_id=post_id, message=str(number)), Context(actor="carol"))
    monkeypatch.setattr(readonly_admin, "MAX_LISTED", 110)
    with CaptureQueriesContext(connections["default"]) as queries:
        answer = root.get(url(Event), {"o": "3", "p": "2"})
    assert len(answer.context["cl"].result_list) == 10
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 110" in sql for sql in counts)
    [page] = [q["sql"] for q in queries if "LIMIT 10 OFFSET 100" in q["sql"]]
    assert 'ORDER BY "messaging_event"."position" DESC' in page


def test_a_hand_made_filter_is_refused(root: Client) -> None:
    for query in ("actor=alice", "data__contains=x", "stream_id__isnull=1"):
        assert root.get(f"{url(Event)}?{query}").status_code == 400


# --- not writing -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", RECORD, ids=lambda model: model.__name__)
def test_a_superusers_hand_made_posts_change_nothing(root: Client, model: Any) -> None:
    before, row = stored(), model.objects.first()
    fields = {field.attname: str(getattr(row, field.attname)) for field in model._meta.fields}
    fields |= {"version": "77", "offset": "77", "live_generation": "77", "halted": "x"}
    row_page = change_page(model)
    posts = {
        url(model, "add"): fields,
        row_page: {**fields, "_save": "Save"},
        row_page.replace("change", "delete"): {"post": "yes"},
        url(model): {
            "action": "delete_selected", "_selected_action": str(row.pk), "index": "0",
        },
    }  # fmt: skip
    for page, body in posts.items():
        assert root.post(page, body).status_code == 403, page
    root.post(url(model) + "?all=", {"form-TOTAL_FORMS": "1", "_save": "Save", **fields})
    assert stored() == before


def test_a_page_of_the_record_offers_nothing_to_press(root: Client) -> None:
    for model in RECORD:
        for page in (url(model), change_page(model)):
            text = root.get(page).content.decode()
            assert f'action="{url(model)}"' not in text
            assert 'name="_save"' not in text
            assert 'name="action"' not in text
            assert url(model, "add") not in text
            assert "deletelink" not in text


# --- people ----------------------------------------------------------------------------------


def test_a_person_is_added_with_a_password(root: Client) -> None:
    assert root.post(url(User, "add"), NEW).status_code == 302
    assert User.objects.get(username="dora").check_password(PASSWORD)


def test_a_name_that_is_taken_or_is_none_is_refused(root: Client) -> None:
    person("alice")
    before = User.objects.count()
    for username in ("Alice", "a b", "", "x" * 151, "a\0"):
        assert root.post(url(User, "add"), {**NEW, "username": username}).status_code == 200
    assert User.objects.count() == before


def test_a_name_is_never_changed(root: Client) -> None:
    dora = person("dora")
    page = url(User, dora.pk, "change")
    assert 'name="username"' not in root.get(page).content.decode()
    assert root.post(page, {**PROFILE, "username": "eve"}).status_code == 302
    dora.refresh_from_db()
    assert (dora.username, dora.email) == ("dora", "d@example.org")


def test_nobody_is_deleted_because_the_name_would_be_free(root: Client) -> None:
    dora = person("dora")
    assert root.post(url(User, dora.pk, "delete"), {"post": "yes"}).status_code == 403
    body = {"action": "delete_selected", "_selected_action": str(dora.pk), "post": "yes"}
    root.post(url(User), {**body, "index": "0"})
    assert User.objects.filter(pk=dora.pk).exists()


def test_who_is_locked_out_stays_in_the_record(root: Client) -> None:
    person("bob")
    inactive = {key: value for key, value in PROFILE.items() if key != "is_active"}
    root.post(url(User, person("bob").pk, "change"), inactive)
    assert not User.objects.get(username="bob").is_active
    assert Event.objects.filter(actor="bob").exists()
