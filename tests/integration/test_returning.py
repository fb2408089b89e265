"""A session that has expired costs nobody a text, and no address carries one."""

from html import unescape
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from commands_app.commands import AddComment, NewPost
from messaging import mediator
from messaging.eventstore.models import Event
from messaging.message import Context
from messaging.projections.serving import own_changes
from messaging.testing import deliver_all
from tests.support.api import person
from tests.support.forms import hidden
from tests.support.modes import Mode
from web.returning import MOST

TEXT = 'Long & "thought"\n<b>over</b>\n\nwith care'
PASSWORD = "correct horse battery"


@pytest.fixture
def addresses(sqlite: Mode, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, str]]:
    """For each kind of text where it is sent, and where its form is after signing in."""
    monkeypatch.setattr(own_changes, "missing_workers", lambda: ["manage.py runconsumer"])
    alice = person("alice")
    alice.set_password(PASSWORD)
    alice.save()
    context = Context(actor="alice")
    post_id: UUID = mediator.send(NewPost(message="Before"), context).stream_id
    added = mediator.send(AddComment(post_id=post_id, text="Before"), context)
    deliver_all()
    post = f"/posts/{post_id}/"
    comment = f"{post}comments/{added.ids['comment_id']}/"
    return {
        "post": ("/write/", "/write/"),
        "comment": (f"{post}comments/", post),
        "edited post": (f"{post}edit/", f"{post}edit/"),
        "edited comment": (f"{comment}edit/", f"{comment}edit/"),
    }


def sign_in(client: Client, page: str, password: str = PASSWORD) -> Any:
    body = {**hidden(page), "username": "alice", "password": password}
    return client.post("/accounts/login/", body)


@pytest.mark.parametrize("what", ["post", "comment", "edited post", "edited comment"])
@pytest.mark.parametrize("htmx", [False, True], ids=["form", "htmx"])
def test_the_text_is_in_its_form_after_signing_in(
    addresses: dict[str, tuple[str, str]], what: str, htmx: bool
) -> None:
    address, form = addresses[what]
    before, client = Event.objects.count(), Client()
    sent = {"text": TEXT, "form": "f1", "original": "7"}
    asked = client.post(address, sent, headers={"HX-Request": "true"} if htmx else {})
    assert asked.status_code == 403
    assert asked.get("HX-Retarget") == ("#content" if htmx else None)
    page = asked.content.decode()
    assert ("<html" in page) is not htmx
    assert 'action="/accounts/login/"' in page

    wrong = sign_in(client, page, "wrong").content.decode()
    right = sign_in(client, wrong)
    assert right["Location"] == form, "and no text in the address"
    shown = client.get(form).content.decode()
    assert TEXT in unescape(shown).replace("\r\n", "\n")
    if "edited" not in what:
        assert hidden(shown)["form"] == "f1", "sent twice it still counts once"
    else:
        assert hidden(shown)["original"] == "7", "a change meanwhile is still noticed"
    assert TEXT not in unescape(client.get(form).content.decode()).replace("\r\n", "\n"), "once"
    assert Event.objects.count() == before


def test_what_is_kept_for_one_form_is_shown_in_no_other(
    addresses: dict[str, tuple[str, str]],
) -> None:
    client = Client()
    address, _ = addresses["edited post"]
    page = client.post(address, {"text": TEXT}).content.decode()
    sign_in(client, page)
    assert "thought" not in client.get("/write/").content.decode()
    assert "thought" in client.get(address).content.decode()


def test_actions_without_a_text_lead_to_the_sign_in_and_to_a_page_that_is_there(
    addresses: dict[str, tuple[str, str]],
) -> None:
    post = addresses["comment"][1]
    for action, back in (("like/", post), ("unlike/", post), ("delete/", f"{post}delete/")):
        answer = Client().post(f"{post}{action}")
        assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={back}")
        part = Client().post(f"{post}{action}", headers={"HX-Request": "true"})
        assert (part.status_code, part["HX-Redirect"]) == (204, f"/accounts/login/?next={back}")
        client = Client()
        client.force_login(person("alice"))
        assert client.get(back).status_code == 200
    blank = Client().post("/write/", {"text": " \n", "form": "f1"})
    assert (blank.status_code, blank["Location"]) == (302, "/accounts/login/?next=/write/")


def test_an_expired_form_without_a_text_offers_none(
    addresses: dict[str, tuple[str, str]],
) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(person("alice"))
    answer = strict.post(f"{addresses['comment'][1]}like/", {"csrfmiddlewaretoken": "old"})
    assert answer.status_code == 403
    assert "<textarea" not in answer.content.decode()


def test_more_than_any_text_may_be_is_not_carried(addresses: dict[str, tuple[str, str]]) -> None:
    assert Client().post("/write/", {"text": "x" * (MOST + 1)}).status_code == 302
    body = {"username": "alice", "password": PASSWORD, "next": "/", "kept-text": "x" * (MOST + 1)}
    client = Client()
    assert client.post("/accounts/login/", body).status_code == 302
    assert "kept" not in client.session


def test_a_form_of_an_earlier_session_is_shown_again_and_sends_nothing_by_itself(
    addresses: dict[str, tuple[str, str]],
) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(person("alice"))
    for address, _ in addresses.values():
        before = Event.objects.count()
        answer = strict.post(address, {"text": TEXT, "form": "f2", "csrfmiddlewaretoken": "old"})
        assert answer.status_code == 403
        page = answer.content.decode()
        assert TEXT in unescape(page).replace("\r\n", "\n")
        assert Event.objects.count() == before
        fields = hidden(page)
        assert fields["form"] == "f2"
        assert strict.post(address, {**fields, "text": TEXT}).status_code == 302
        assert Event.objects.count() == before + 1
