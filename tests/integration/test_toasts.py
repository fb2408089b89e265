"""What is said after something was done: once, where its person is, and which draft it ends."""

import json
import re
from html import unescape
from uuid import UUID

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from commands_app.commands import AddComment, NewPost
from messaging import mediator
from messaging.message import Context
from tests.support.api import person
from tests.support.forms import arrive
from tests.support.modes import Mode

PASSWORD = "correct horse battery"
HTMX = {"HX-Request": "true"}


def signed_in(name: str = "alice") -> Client:
    client = Client()
    client.force_login(person(name))
    return client


def said(page: str) -> list[tuple[list[str], str]]:
    """Each toast: whose draft of which form it ends, and what it says."""
    found = re.findall(r'<p class="toast" data-drops="([^"]*)">(.*?)</p>', page)
    return [(json.loads(unescape(drops)), unescape(text)) for drops, text in found]


@pytest.fixture
def post(sqlite: Mode) -> str:
    """The address of a post of Alice's."""
    return f"/posts/{mediator.send(NewPost(message='Hers'), Context(actor='alice')).stream_id}/"


@pytest.fixture
def comment(post: str) -> str:
    added = AddComment(post_id=UUID(post.split("/")[2]), text="Hers too")
    found = mediator.send(added, Context(actor="alice")).ids["comment_id"]
    return f"{post}comments/{found}/"


def test_each_form_that_is_carried_out_says_so_once_on_the_next_page(comment: str) -> None:
    alice, post = signed_in(), comment.partition("comments/")[0]
    arrive()
    for address, text in (
        ("/write/", "Posted."),
        (f"{post}edit/", "Saved."),
        (f"{post}comments/", "Comment added."),
        (f"{comment}edit/", "Saved."),
        (f"{comment}remove/", "Comment deleted."),
        (f"{post}delete/", "Post deleted."),
        ("/accounts/tokens/revoke-all/", "All tokens revoked."),
    ):
        sent = alice.post(address, {"text": f"A text for {address}"})
        assert sent.status_code == 302
        arrive()
        assert said(alice.get(sent["Location"], follow=True).text) == [(["alice", address], text)]
        assert said(alice.get(sent["Location"], follow=True).text) == []


def test_what_is_refused_says_nothing_was_done(post: str) -> None:
    alice = signed_in()
    arrive()
    refused = alice.post(f"{post}edit/", {"text": " "})
    assert (refused.status_code, said(refused.text)) == (422, [])
    assert said(alice.get(post).text) == []


def test_a_part_of_a_page_brings_it_along(post: str) -> None:
    alice = signed_in()
    alice.post(f"{post}edit/", {"text": "Better"}, headers=HTMX)
    arrive()
    part = alice.get(f"{post}card/", headers=HTMX).text
    assert '<div id="toasts" hx-swap-oob="beforeend"><p' in part
    assert [text for _, text in said(part)] == ["Saved."]
    assert said(alice.get(f"{post}card/", headers=HTMX).text) == []


def test_a_whole_page_of_which_htmx_takes_a_part_brings_it_beside(post: str) -> None:
    alice = signed_in()
    alice.post(f"{post}edit/", {"text": "Better"})
    arrive()
    page = alice.get("/", headers=HTMX).text
    assert len(said(page)) == 1
    assert '<div id="toasts" hx-swap-oob="beforeend"><p' in page.partition("</html>")[2]


def test_a_form_that_htmx_sends_leads_to_its_page_as_a_whole(post: str) -> None:
    alice = signed_in()
    for address in ("/write/", f"{post}comments/"):
        answer = alice.post(address, {"text": "By htmx"}, headers=HTMX)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer["HX-Redirect"].startswith("/posts/")


def test_going_back_says_nothing_again(post: str) -> None:
    """The page that says something is not stored, and is no page that did not change."""
    alice = signed_in()
    before = alice.get("/")["ETag"]
    alice.post("/write/", {"text": "Another"})
    arrive()
    page = alice.get("/", headers={"if-none-match": before})
    assert (page.status_code, "ETag" in page) == (200, False)
    assert "no-store" in page["Cache-Control"]
    after = alice.get("/")
    assert "no-store" not in after["Cache-Control"]
    assert alice.get("/", headers={"if-none-match": after["ETag"]}).status_code == 304


def test_saying_something_costs_no_statement(post: str) -> None:
    alice = signed_in()
    alice.post("/write/", {"text": "Another"})
    arrive()
    with (
        CaptureQueriesContext(connections["default"]) as writes,
        CaptureQueriesContext(connections["read"]) as reads,
    ):
        assert said(alice.get("/").text)
    assert (len(writes), len(reads)) == (3, 3)


def test_who_comes_is_welcome_and_who_leaves_leaves_no_draft(sqlite: Mode) -> None:
    zoe = Client()
    up = {"username": "zoe", "password1": PASSWORD, "password2": PASSWORD}
    zoe.post("/accounts/sign-up/", up)
    assert said(zoe.get("/").text) == [(["zoe", "/accounts/sign-up/"], "Welcome, zoe.")]
    for address in ("/accounts/logout/", "/admin/logout/"):
        assert zoe.post(address)["Location"] == "/"
        assert said(zoe.get("/").text) == [(["zoe"], "Signed out.")]
        zoe.post("/accounts/login/", {"username": "zoe", "password": PASSWORD})
        assert [text for _, text in said(zoe.get("/").text)] == ["Welcome back, zoe."]
