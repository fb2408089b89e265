"""What somebody has just sent is seen at once, although the read side does not have it yet."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from commands_app.commands import AddComment, LikePost, NewPost
from messaging import mediator
from messaging.message import Context
from queries_app.queries import FindComments
from tests.support.api import person
from tests.support.forms import arrive
from tests.support.modes import Mode

SENT = "What was sent, <b>just</b> now"
SHOWN = '<blockquote class="text"><p>What was sent, &lt;b&gt;just&lt;/b&gt; now</p></blockquote>'
HTMX = {"HX-Request": "true"}


@pytest.fixture
def alice(sqlite: Mode) -> Client:
    client = Client()
    client.force_login(person("alice"))
    return client


@pytest.fixture
def page(alice: Client) -> str:
    """Of a post with a comment, which the read side has."""
    written = mediator.send(NewPost(message="As it was"), Context(actor="alice")).stream_id
    mediator.send(AddComment(post_id=written, text="A comment"), Context(actor="alice"))
    arrive()
    return f"/posts/{written}/"


def a_comment(page: str) -> str:
    [found] = mediator.ask(FindComments(post_id=UUID(page.split("/")[2]))).results
    return f"{page}comments/{found.comment_id}/"


FORMS: dict[str, Callable[[str], str]] = {
    "comment": lambda page: f"{page}comments/",
    "edit": lambda page: f"{page}edit/",
    "edit of a comment": lambda page: f"{a_comment(page)}edit/",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("htmx", [False, True], ids=["page", "htmx"])
def test_a_page_shows_what_was_sent_until_it_is_part_of_it(
    alice: Client, page: str, form: Callable[[str], str], htmx: bool
) -> None:
    headers = HTMX if htmx else {}
    answer: Any = alice.post(form(page), {"text": SENT, "form": "f"}, headers=headers, follow=True)
    if answer.status_code == 204:
        answer = alice.get(answer["HX-Redirect"], follow=True)
    assert answer.text.count(SHOWN) == 1
    assert alice.get(page).text.count(SHOWN) == 1, "on any later look"
    mediator.send(LikePost(post_id=UUID(page.split("/")[2])), Context(actor="alice"))
    arrive()
    assert SHOWN not in alice.get(page).text
    assert "sent" not in alice.cookies or not alice.cookies["sent"].value


def test_a_text_that_is_shown_is_not_shown_twice_while_something_else_is_late(
    alice: Client, page: str
) -> None:
    alice.post(f"{page}comments/", {"text": SENT, "form": "f"})
    arrive()
    alice.post(f"{page}like/", {"next": page})
    found = alice.get(page).text
    assert "is stored, and not shown here yet" in found
    assert SHOWN not in found


def test_who_signs_in_next_is_not_shown_it(alice: Client, page: str) -> None:
    alice.post(f"{page}comments/", {"text": SENT, "form": "f"})
    kept = alice.cookies["sent"].value
    bob = Client()
    bob.force_login(person("bob"))
    bob.post(f"{page}like/", {"next": page})
    bob.cookies["sent"] = kept
    found = bob.get(page).text
    assert "is stored, and not shown here yet" in found
    assert SHOWN not in found
