"""Two tabs edit one text: the second is shown both texts, and nothing is lost in silence."""

from collections.abc import Callable
from html import unescape
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from commands_app.commands import (
    AddComment,
    DeletePost,
    EditComment,
    EditMessage,
    LikePost,
    NewPost,
)
from contracts.posts import fingerprint
from messaging import mediator
from messaging.eventstore.models import Event
from messaging.message import Context
from messaging.projections.registry import PROJECTIONS
from messaging.projections.serving import own_changes
from tests.support.api import person
from tests.support.consuming import consume_all
from tests.support.forms import hidden
from tests.support.modes import Mode
from tests.support.relaying import publish_all

ALICE = Context(actor="alice")
HTMX = {"HX-Request": "true"}


class Edited:
    """A text of alice's, and the form that changes it."""

    def __init__(self, address: str, edit: Callable[[str], object], part: str) -> None:
        self.address, self.edit, self.part = address, edit, part
        self.client = Client()
        self.client.force_login(person("alice"))

    def form(self, **headers: str) -> dict[str, str]:
        """Open it: its hidden fields."""
        return hidden(self.client.get(self.address, headers=headers).content.decode())

    def send(self, text: str, original: object, headers: Any = None) -> Any:
        sent = {"text": text, "original": original}
        return self.client.post(self.address, sent, headers=headers)


@pytest.fixture(params=["post", "comment"])
def edited(request: Any, sqlite: Mode, monkeypatch: pytest.MonkeyPatch) -> Edited:
    monkeypatch.setattr(
        own_changes, "missing_workers", lambda: ["manage.py runconsumer"]
    )  # do not wait
    post_id: UUID = mediator.send(NewPost(message="first"), ALICE).stream_id
    comment_id = mediator.send(AddComment(post_id=post_id, text="first"), ALICE).ids["comment_id"]
    arrive()

    def edit_post(text: str) -> object:
        return mediator.send(EditMessage(post_id=post_id, message=text), ALICE)

    def edit_comment(text: str) -> object:
        return mediator.send(EditComment(post_id=post_id, comment_id=comment_id, text=text), ALICE)

    path = f"/posts/{post_id}/"
    if request.param == "post":
        return Edited(f"{path}edit/", edit_post, f'<article id="post-{post_id}">')
    return Edited(f"{path}comments/{comment_id}/edit/", edit_comment, f'id="comment-{comment_id}">')


def arrive() -> None:
    publish_all()
    for projection in PROJECTIONS.values():
        consume_all(projection)


def stored() -> str:
    return Event.objects.order_by("position").values_list("data", flat=True).reverse()[0]


def test_the_second_of_two_tabs_sees_both_texts_and_may_save_its_own(edited: Edited) -> None:
    original = edited.form()["original"]
    assert original == str(fingerprint("first"))
    edited.edit("theirs")
    arrive()
    refused = edited.send("mine", original)
    page = refused.content.decode()
    assert refused.status_code == 412
    assert "yours is not saved" in page
    assert '<blockquote class="text"><p>theirs</p></blockquote>' in page
    assert ">\nmine</textarea>" in page
    assert "theirs" in stored()
    now = hidden(page)["original"]
    assert now == str(fingerprint("theirs"))
    assert edited.send("mine", now).status_code == 302
    assert "mine" in stored()


def test_a_conflict_of_a_part_of_a_page_stays_in_its_part(edited: Edited) -> None:
    original = edited.form(**{"HX-Request": "true"})["original"]
    edited.edit("theirs")
    arrive()
    page = edited.send("mine", original, HTMX).content.decode()
    assert "<html" not in page
    assert edited.part in page
    assert "hx-post" in page
    assert "hx-post" not in edited.send("mine", original).content.decode(), "without scripts"


def test_a_conflict_says_so_when_the_other_text_is_not_shown_yet(edited: Edited) -> None:
    edited.edit("theirs")
    page = edited.send("mine", fingerprint("first")).content.decode()
    assert "not shown here yet" in page
    assert "save again in a moment, to see both" in page
    assert ">\nmine</textarea>" in page
    assert "<blockquote" not in page, "nobody has seen the other text"
    again = edited.send("mine", hidden(page)["original"])
    assert again.status_code == 412
    arrive()
    both = edited.send("mine", hidden(again.content.decode())["original"]).content.decode()
    assert '<blockquote class="text"><p>theirs</p></blockquote>' in both
    assert edited.send("mine", hidden(both)["original"]).status_code == 302


def test_what_is_refused_because_it_is_gone_shows_what_was_written(edited: Edited) -> None:
    post_id = UUID(edited.address.split("/")[2])
    original = edited.form()["original"]
    mediator.send(DeletePost(post_id=post_id), ALICE)
    refused = edited.send("<i>long</i> thought about", original)
    assert refused.status_code in (404, 409, 410)
    page = refused.content.decode()
    assert "What you wrote" in page
    assert "&lt;i&gt;long&lt;/i&gt; thought about" in page


def test_a_conflict_begins_with_what_has_happened(edited: Edited) -> None:
    """A field that takes the focus would scroll past a long text of somebody else."""
    edited.edit("theirs")
    arrive()
    page = edited.send("mine", fingerprint("first")).content.decode().partition("</main>")[0]
    assert page.count("autofocus") == 1
    assert page.index("autofocus") < page.index("<blockquote") < page.index("<textarea")


def test_likes_are_no_conflict(edited: Edited) -> None:
    original = edited.form()["original"]
    post_id = UUID(edited.address.split("/")[2])
    mediator.send(LikePost(post_id=post_id), Context(actor="bob"))
    assert edited.send("mine", original).status_code == 302
    assert "mine" in stored()


def test_the_same_text_saved_meanwhile_is_no_conflict(edited: Edited) -> None:
    edited.edit("second")
    edited.edit("first")
    assert edited.send("mine", fingerprint("first")).status_code == 302


@pytest.mark.parametrize("none", ["", "x", "-1", "1 ", "1\n", "\u0661", "9" * 21, "9" * 5_000])
def test_a_form_that_does_not_say_which_text_it_changes_changes_any(
    edited: Edited, none: str
) -> None:
    assert edited.send("mine", none).status_code == 302
    assert "mine" in stored()


def test_a_refused_text_comes_back_with_what_the_form_knew(edited: Edited) -> None:
    too_long = "x" * 10_001
    refused = edited.send(too_long, fingerprint("first"))
    assert refused.status_code == 422
    assert f">\n{too_long}</textarea>" in refused.content.decode()
    assert hidden(refused.content.decode())["original"] == str(fingerprint("first"))
    edited.edit("theirs")
    assert edited.send("mine", hidden(refused.content.decode())["original"]).status_code == 412


def test_each_form_counts_by_itself(edited: Edited) -> None:
    assert edited.form()["form"] != edited.form()["form"]


def test_texts_of_a_conflict_are_no_markup(edited: Edited) -> None:
    edited.edit("<b>theirs</b>")
    arrive()
    page = edited.send("</textarea><b>mine</b>", fingerprint("first")).content.decode()
    assert "<b>" not in page
    assert "</textarea><b>mine</b>" in unescape(page)
