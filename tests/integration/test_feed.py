"""The feed: what it costs, and that its cards are those of whoever looks."""

import re
from uuid import UUID

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from commands_app.commands import LikePost, NewPost
from messaging import mediator
from messaging.message import Context
from tests.support.api import person
from tests.support.forms import arrive, hidden
from tests.support.modes import Mode


@pytest.fixture
def post_id(sqlite: Mode) -> UUID:
    """A post of Alice's, of which she has thought well."""
    found = mediator.send(NewPost(message="Hers"), Context(actor="alice")).stream_id
    mediator.send(LikePost(post_id=found), Context(actor="alice"))
    arrive()
    return found


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(person(name))
    return client


def test_the_feed_of_a_signed_in_reader_takes_six_statements(sqlite: Mode) -> None:
    alice = signed_in("alice")
    for number in range(20):
        alice.post("/write/", {"text": f"Number {number}", "form": f"{number}"})
    arrive()
    with (
        CaptureQueriesContext(connections["default"]) as writes,
        CaptureQueriesContext(connections["read"]) as reads,
    ):
        page = alice.get("/").content.decode()
    assert page.count("<article") == 20
    # The session, the person and their changes; how far the rows are, the posts, and their likes.
    assert (len(writes), len(reads)) == (3, 3)


def test_a_card_is_that_of_whoever_looks(post_id: UUID) -> None:
    alice, bob, nobody = signed_in("alice"), signed_in("bob"), Client()
    for _ in range(2):  # kept HTML is not another's
        hers, his, theirs = (one.get("/").content.decode() for one in (alice, bob, nobody))
        assert ('aria-pressed="true"' in hers, f"/posts/{post_id}/edit/" in hers) == (True, True)
        assert ('aria-pressed="false"' in his, f"/posts/{post_id}/edit/" in his) == (True, False)
        assert 'href="/accounts/login/?next=/"' in theirs
        assert "aria-pressed" not in theirs
        assert 'login/?next=/people/alice/%3Fx%3D1"' in nobody.get("/people/alice/?x=1").text


def test_a_card_changes_with_its_post(post_id: UUID) -> None:
    bob = signed_in("bob")
    assert "Like, 1 so far" in bob.get("/").text
    mediator.send(LikePost(post_id=post_id), Context(actor="bob"))
    arrive()
    assert "Like, 2 so far" in bob.get("/").text


def test_a_like_without_javascript_leads_back_to_the_list(post_id: UUID) -> None:
    bob = signed_in("bob")
    page = bob.get("/most-liked/").text
    button = re.findall(r'<button form="(\w+)" formaction="([^"]+)"', page)
    assert button == [("likes", f"/posts/{post_id}/like/")]
    assert '<form id="likes" method="post">' in page
    sent = bob.post(button[0][1], hidden(page.partition('<form id="likes"')[2]))
    assert sent["Location"] == f"/most-liked/#post-{post_id}"
