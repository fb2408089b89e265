"""Comments: links that lead to where one stands, and quoting. Without a browser."""

import re
from html import unescape
from uuid import UUID

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from commands_app.commands import AddComment, NewPost, RemoveComment
from messaging import mediator
from messaging.message import Context
from messaging.projections.serving import own_changes
from queries_app.discussion import MAX_QUOTED, quotation
from tests.support.api import person
from tests.support.forms import arrive, hidden
from tests.support.modes import Mode


class Discussion:
    """A post of Alice's under which Bob has counted."""

    def __init__(self, comments: int) -> None:
        self.post_id = mediator.send(NewPost(message="A\n\nB"), Context(actor="alice")).stream_id
        self.ids = [self.comment(f"Number {number}") for number in range(comments)]
        arrive()

    def comment(self, text: str) -> UUID:
        command = AddComment(post_id=self.post_id, text=text)
        return mediator.send(command, Context(actor="bob")).ids["comment_id"]

    @property
    def page(self) -> str:
        return f"/posts/{self.post_id}/"

    def link(self, comment_id: UUID) -> str:
        return f"{self.page}comments/{comment_id}/"


def shown(page: str) -> list[str]:
    return re.findall(r'<li class="comment" id="comment-([^"]+)"', page)


def textarea(page: str) -> str:
    return unescape(re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.S)[0])


def reader() -> Client:
    client = Client()
    client.force_login(person("carol"))
    return client


def test_the_link_of_a_comment_leads_to_the_page_on_which_it_stands(database: Mode) -> None:
    there = Discussion(comments=35)
    for number, first in ((0, 0), (10, 0), (11, 1), (34, 24)):
        comment_id = there.ids[number]
        answer = Client().get(there.link(comment_id))
        address, _, fragment = answer["Location"].partition("#")
        assert (answer.status_code, fragment) == (302, f"comment-{comment_id}")
        expected = [str(one) for one in there.ids[first : first + 20]]
        assert shown(Client().get(address).text) == expected, number
    page = Client().get(there.page).text
    assert f'href="{there.link(there.ids[3])}"' in page


def test_the_page_of_a_link_leads_to_the_comments_before_and_behind(sqlite: Mode) -> None:
    there = Discussion(comments=35)
    page = Client().get(there.link(there.ids[13]), follow=True).text
    beside = dict(re.findall(r'<a rel="(\w+)" href="([^"#]+)', page))
    before, behind = (Client().get(there.page + beside[one]).text for one in ("prev", "next"))
    assert shown(before) + shown(page) + shown(behind) == [str(one) for one in there.ids]


def test_the_link_of_a_comment_costs_the_same_wherever_it_stands(sqlite: Mode) -> None:
    there = Discussion(comments=35)
    for number in (0, 34):
        with CaptureQueriesContext(connections["read"]) as reads:
            Client().get(there.link(there.ids[number]))
        assert len(reads) <= 4


def test_the_link_of_a_removed_comment_says_that_there_is_none(sqlite: Mode) -> None:
    there = Discussion(comments=1)
    [comment_id] = there.ids
    mediator.send(RemoveComment(post_id=there.post_id, comment_id=comment_id), Context(actor="bob"))
    arrive()
    answer = Client().get(there.link(comment_id))
    assert (answer.status_code, "This comment is gone" in answer.text) == (404, True)


def test_a_link_to_a_comment_of_ones_own_that_is_not_shown_yet_leads_to_its_post(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_changes, "missing_workers", lambda: ["manage.py runconsumer"])
    there, carol = Discussion(comments=1), reader()
    form = hidden(carol.get(there.page).text.partition("<main")[2])
    sent = carol.post(f"{there.page}comments/", {**form, "text": "Hers"})
    comment_id = sent["Location"].partition("#comment-")[2]
    link = there.link(UUID(comment_id))
    answer = carol.get(link)
    assert (answer.status_code, answer["Location"]) == (302, f"{there.page}?at=end")
    assert carol.get(link, headers={"HX-Request": "true"}).status_code == 404


# --- quoting ------------------------------------------------------------------------------------


def test_a_link_fills_the_form_with_what_it_quotes(sqlite: Mode) -> None:
    there, carol = Discussion(comments=35), reader()
    page = carol.get(there.page).text
    [link] = re.findall(rf'href="({there.page}\?quote={there.post_id})"', page)
    assert textarea(carol.get(link).text) == "@alice wrote:\n> A\n>\n> B\n\n"
    address = carol.get(there.link(there.ids[34]))["Location"].partition("#")[0]
    links = re.findall(r'href="([^"]+)" aria-label="Quote bob"', carol.get(address).text)
    answer = carol.get(unescape(links[-1]))
    assert textarea(answer.text) == "@bob wrote:\n> Number 34\n\n"
    assert re.search("<textarea[^>]* autofocus", answer.text)
    assert shown(answer.text)[-1] == str(there.ids[34]), "and stays at the page of comments"
    carol.post(f"{there.page}comments/", {**hidden(answer.text), "text": "> Number 34\n\nSo?"})
    arrive()
    assert "<p>&gt; Number 34</p><p>So?</p>" in carol.get(f"{there.page}?at=end").text


def test_nothing_is_quoted_unasked_or_by_who_is_not_signed_in(sqlite: Mode) -> None:
    there = Discussion(comments=1)
    assert textarea(reader().get(there.page).text) == ""
    assert "quote" not in Client().get(there.page).text.lower()


@pytest.mark.parametrize(
    ("quote", "status"),
    [
        ("", 400),
        ("x", 400),
        ("\0", 400),
        ("'; --", 400),
        ("x" * 5_000, 400),
        (str(UUID(int=4)), 404),
    ],
    ids=lambda one: ascii(one)[:20],
)
def test_what_cannot_be_quoted_is_refused(sqlite: Mode, quote: str, status: int) -> None:
    there = Discussion(comments=0)
    assert reader().get(there.page, {"quote": quote}).status_code == status


def test_a_long_text_is_quoted_as_far_as_an_answer_leaves_room_for_it() -> None:
    assert quotation("a", "x" * MAX_QUOTED) == f"@a wrote:\n> {'x' * MAX_QUOTED}\n\n"
    assert quotation("a", "x" * 10_000) == f"@a wrote:\n> {'x' * MAX_QUOTED}…\n\n"
    assert len(quotation("a" * 150, "\n" * 10_000)) < 5_000
