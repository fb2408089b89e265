"""The pages without a browser: what rubbish, other people's ids and hand-made requests get."""

import re
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import UUID

import pytest
from django.core import signing
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from knox.models import AuthToken

from accounts.models import User
from commands_app.commands import AddComment, NewPost
from messaging import conf, mediator
from messaging.eventstore.models import Event, Receipt
from messaging.message import Context
from messaging.projections.serving import own_changes
from tests.support.api import person
from tests.support.forms import arrive
from tests.support.modes import Mode
from web.texts import html_of

SCRIPT = "<script>alert(1)</script>"
TEXTS = [
    SCRIPT,
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "{{ 7|add:7 }} {% debug %}",
    "javascript:alert(1)",
    "<svg/onload=alert(1)>",
    "<!-- --><style>*{display:none}</style>",
    "a\r\nSet-Cookie: x=1",
    "\u202egnp.exe",
    "e\u0301" * 50,
    "👩‍👩‍👧‍👦" * 20,
    "\ufeffbom",
    "%00%0d%0a",
    "${jndi:ldap://x}",
    "../../etc/passwd",
    "'; DROP TABLE posts; --",
    "\t\ttabs\n\n\nlines",
    "x" * 10_000,
]
REFUSED = ["", " ", "\n\t ", "\u200b", "\x00", "a\x00b", "x" * 10_001, "\u00ad", "\u2028"]


def signed_in(name: str = "alice") -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(person(name))
    return client


@pytest.fixture
def post_id(sqlite: Mode) -> UUID:
    """A post of Alice's with a comment of hers, on its page."""
    person("alice")
    found = mediator.send(NewPost(message="Alice's"), Context(actor="alice")).stream_id
    mediator.send(AddComment(post_id=found, text="Hers"), Context(actor="alice"))
    arrive()
    return found


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here waits for a read side that nobody feeds."""
    monkeypatch.setattr(own_changes, "missing_workers", lambda: ["manage.py runconsumer"])


def comment_id() -> str:
    data = Event.objects.get(type="posts.comment_added.v1").data
    return re.findall(r'"comment_id":"([^"]+)"', data)[0]


# --- what is shown is text, whatever it says -------------------------------------------------


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
@pytest.mark.parametrize("where", ["post", "comment", "edit", "edit comment"])
def test_no_text_becomes_markup_or_headers(post_id: UUID, text: str, where: str) -> None:
    alice = signed_in()
    address = {
        "post": "/write/",
        "comment": f"/posts/{post_id}/comments/",
        "edit": f"/posts/{post_id}/edit/",
        "edit comment": f"/posts/{post_id}/comments/{comment_id()}/edit/",
    }[where]
    sent = alice.post(address, {"text": text, "form": "f"})
    assert sent.status_code == 302
    assert "\n" not in sent["Location"]
    arrive()
    page = alice.get(sent["Location"], follow=True)
    assert page.status_code == 200
    feed = alice.get("/").content.decode()
    history = alice.get(f"/posts/{post_id}/history/").content.decode()
    for shown in (page.content.decode(), feed, history):
        for markup in (SCRIPT, "<img src=x", "<svg/onload", "<style>*", "onmouseover='"):
            assert markup not in shown
    assert page.headers.get("Set-Cookie") is None


@pytest.mark.parametrize("text", REFUSED, ids=ascii)
@pytest.mark.parametrize("where", ["post", "comment", "edit", "edit comment"])
def test_a_refused_text_comes_back_with_the_reason(post_id: UUID, text: str, where: str) -> None:
    alice, before = signed_in(), Event.objects.count()
    address = {
        "post": "/write/",
        "comment": f"/posts/{post_id}/comments/",
        "edit": f"/posts/{post_id}/edit/",
        "edit comment": f"/posts/{post_id}/comments/{comment_id()}/edit/",
    }[where]
    answer = alice.post(address, {"text": text, "form": "f"})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()
    assert Event.objects.count() == before


def test_a_new_comment_is_on_the_page_that_its_writer_is_led_to(post_id: UUID) -> None:
    alice = signed_in()
    for number in range(45):
        where = alice.post(f"/posts/{post_id}/comments/", {"text": f"no. {number}", "form": "f"})
    arrive()
    page = alice.get(where["Location"]).content.decode()
    assert "no. 44" in page
    assert "no. 24" not in page
    assert "Earlier comments" in page
    assert "Later comments" not in page


# --- other people's things -------------------------------------------------------------------


def actions(post_id: UUID) -> list[tuple[str, dict[str, str]]]:
    comment = f"/posts/{post_id}/comments/{comment_id()}"
    return [
        (f"/posts/{post_id}/edit/", {"text": "mine now"}),
        (f"/posts/{post_id}/delete/", {}),
        (f"{comment}/edit/", {"text": "mine now"}),
        (f"{comment}/remove/", {}),
    ]


def test_what_is_not_ones_own_is_refused_in_words(post_id: UUID) -> None:
    bob, before = signed_in("bob"), Event.objects.count()
    for address, body in actions(post_id):
        for headers in ({}, {"HX-Request": "true"}):
            answer = bob.post(address, body, headers=headers)
            assert answer.status_code == 403
            assert "Only the author" in answer.content.decode()
            assert ("HX-Retarget" in answer.headers) == bool(headers)
    assert Event.objects.count() == before


def test_who_is_not_signed_in_changes_nothing(post_id: UUID) -> None:
    before = Event.objects.count()
    others = [("/write/", {"text": "a"}), (f"/posts/{post_id}/like/", {})]
    for address, body in actions(post_id) + others:
        answer = Client().post(address, body)
        if body:  # the sign-in form itself, which carries the text (test_returning.py)
            assert answer.status_code == 403
            assert 'action="/accounts/login/"' in answer.content.decode()
        else:
            assert (answer.status_code, answer["Location"][:17]) == (302, "/accounts/login/?")
    assert Event.objects.count() == before


def test_a_form_without_its_token_is_refused(post_id: UUID) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(person("alice"))
    before = Event.objects.count()
    for address, body in actions(post_id):
        answer = strict.post(address, body)
        assert answer.status_code == 403
        assert "expired" in answer.content.decode()
    assert Event.objects.count() == before


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
def test_other_methods_are_refused(post_id: UUID, method: str) -> None:
    for address in ("/", f"/posts/{post_id}/", f"/posts/{post_id}/like/", "/write/"):
        assert getattr(signed_in(), method)(address).status_code == 405


def test_a_get_changes_nothing(post_id: UUID) -> None:
    alice, before = signed_in(), Event.objects.count()
    for path in ("like/", "unlike/", "comments/"):
        assert alice.get(f"/posts/{post_id}/{path}").status_code == 405
    for address, _ in actions(post_id):
        assert alice.get(address).status_code == 200
    assert Event.objects.count() == before


# --- rubbish in addresses --------------------------------------------------------------------

NOWHERE = UUID(int=7)
ADDRESSES = [
    "/posts/", "/posts/x/", "/posts/1/", f"/posts/{NOWHERE}/", f"/posts/{NOWHERE}/history/",
    f"/posts/{NOWHERE}/card/", f"/posts/{NOWHERE}/edit/", f"/posts/{NOWHERE}/delete/",
    f"/posts/{NOWHERE}/comments/{NOWHERE}/", f"/posts/{NOWHERE}/comments/{NOWHERE}/edit/",
    f"/new-posts/{NOWHERE}/", "/new-posts/x/", "/people//", "/nothing/", "/write",
    "/posts/%00/", "/%ff/", "/.env", "/static/../config/settings.py",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_not_there_is_not_found(post_id: UUID, address: str) -> None:
    answer = signed_in().get(address)
    assert answer.status_code in (301, 404)


@pytest.mark.parametrize("cursor", ["x", "..", "W10", "{}", "a" * 5_000, "%ff", "é", "-1"])
@pytest.mark.parametrize("address", ["/", "/most-liked/", "/people/alice/", "post", "history"])
def test_a_crafted_cursor_is_refused(post_id: UUID, address: str, cursor: str) -> None:
    address = {"post": f"/posts/{post_id}/", "history": f"/posts/{post_id}/history/"}.get(
        address, address
    )
    answer = Client(raise_request_exception=False).get(f"{address}?cursor={cursor}")
    assert answer.status_code == 400
    assert "cursor is not made by hand" in answer.content.decode()


@pytest.mark.parametrize("address", ["/", "/most-liked/", "/people/alice/", "/accounts/login/"])
def test_a_null_character_in_a_query_string_is_refused(sqlite: Mode, address: str) -> None:
    for query in ("cursor=%00", "next=a%00b", "%00=1"):
        answer = Client(raise_request_exception=False).get(f"{address}?{query}")
        assert answer.status_code == 400
        assert "This cannot be read" in answer.content.decode()


@pytest.mark.parametrize("name", ["nobody", "%00", "%ff", "a/../b", "x" * 400, "%3Cscript%3E", "."])
def test_an_author_that_is_nobody_has_no_page(post_id: UUID, name: str) -> None:
    answer = Client(raise_request_exception=False).get(f"/people/{name}/")
    assert answer.status_code in (301, 400, 404)
    assert "<script>" not in answer.content.decode()


@pytest.mark.parametrize(
    "where", ["//evil.example", "https://evil.example", "javascript:x", "\\\\e"]
)
def test_nobody_is_led_to_another_site(post_id: UUID, where: str) -> None:
    alice = signed_in()
    answer = alice.post(f"/posts/{post_id}/like/", {"next": where})
    assert answer["Location"].startswith(f"/posts/{post_id}/")
    person("carol").set_password("x")
    login = Client().post(f"/accounts/login/?next={where}", {"username": "c", "password": "d"})
    assert login.status_code == 200
    up = {"username": "zoe", "password1": "long enough a phrase"}
    assert Client().post("/accounts/sign-up/", {**up, "next": where})["Location"] == "/"


# --- forms sent again ------------------------------------------------------------------------


def test_the_same_form_sent_again_counts_once_and_another_text_counts(post_id: UUID) -> None:
    alice, before = signed_in(), Event.objects.count()
    first = alice.post("/write/", {"text": "once", "form": "f1"})
    again = alice.post("/write/", {"text": "once", "form": "f1"})
    assert first["Location"] == again["Location"]
    other = alice.post("/write/", {"text": "twice", "form": "f1"})
    assert other["Location"] != first["Location"]
    third = alice.post("/write/", {"text": "once", "form": "f2"})
    assert third["Location"] != first["Location"]
    assert Event.objects.count() == before + 3


def test_what_became_of_a_form_is_forgotten_after_a_while(post_id: UUID) -> None:
    """Refused ones too: else anybody could fill a table for ever."""
    alice, before = signed_in(), Receipt.objects.count()
    for text in ("once", " ", "x" * 10_001):
        alice.post("/write/", {"text": text, "form": text[:9]})
        alice.post(f"/posts/{post_id}/comments/", {"text": text, "form": text[:9]})
    left = Receipt.objects.order_by("-id")[: Receipt.objects.count() - before]
    assert len(left) == 6
    hours = timedelta(hours=conf.postlog().idempotency_hours)
    for receipt in left:
        assert receipt.expires_at is not None
        assert abs(receipt.expires_at - receipt.created_at - hours) < timedelta(seconds=1)


# --- accounts --------------------------------------------------------------------------------

NAMES = ["", "Alice", "a b", "a/b", "x" * 151, "a\x00", ".", "..", "<b>", "a\u202eb", "'--", "%2e"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_that_is_taken_or_none_is_refused(sqlite: Mode, name: str) -> None:
    person("alice")
    password = "long enough a phrase"
    body = {"username": name, "password1": password}
    answer = Client(raise_request_exception=False).post("/accounts/sign-up/", body)
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()


@pytest.mark.parametrize("password", ["", "short", "12345678901", "password", "zoezoezoe", " "])
def test_a_weak_password_is_refused(sqlite: Mode, password: str) -> None:
    body = {"username": "zoezoezoe", "password1": password}
    answer = Client().post("/accounts/sign-up/", body)
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()


def test_a_token_is_revoked_by_its_owner_alone(sqlite: Mode) -> None:
    bobs = AuthToken.objects.create(person("bob"))[0]
    for value in (bobs.digest, "", "x" * 5_000, "\x00", "%"):
        assert (
            signed_in("alice").post("/accounts/tokens/revoke/", {"token": value}).status_code == 302
        )
    assert AuthToken.objects.filter(user=person("bob")).exists()
    signed_in("bob").post("/accounts/tokens/revoke/", {"token": bobs.digest})
    assert not AuthToken.objects.filter(user=person("bob")).exists()


# --- new posts, cheaply ----------------------------------------------------------------------


def test_asking_for_new_posts_touches_no_session_and_says_304(
    post_id: UUID, django_assert_num_queries: Any
) -> None:
    alice, address = signed_in(), f"/new-posts/{post_id}/"
    with CaptureQueriesContext(connections["default"]) as written:
        first = alice.get(address)
        assert (first.status_code, first.content) == (200, b"")
        same = alice.get(address, headers={"If-None-Match": first["ETag"]})
        assert (same.status_code, same.content) == (304, b"")
    assert len(written) == 0
    for number in range(3):
        mediator.send(NewPost(message=f"new {number}"), Context(actor="bob"))
    arrive()
    changed = alice.get(address, headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200
    assert "3 new posts" in changed.content.decode()
    for number in range(20):
        mediator.send(NewPost(message=f"newer {number}"), Context(actor="bob"))
    arrive()
    assert "20 or more new posts" in alice.get(address).content.decode()


def test_asking_for_new_comments_touches_no_session_and_says_304(post_id: UUID) -> None:
    alice = signed_in()
    page = alice.get(f"/posts/{post_id}/").text
    address = unescape(re.findall(r'hx-get="([^"]+/new-comments/[^"]*)"', page)[0])
    with (
        CaptureQueriesContext(connections["default"]) as written,
        CaptureQueriesContext(connections["read"]) as read,
    ):
        first = alice.get(address)
    assert (first.status_code, first.content) == (200, b"")
    assert (len(written), len(read)) == (0, 2)
    same = alice.get(address, headers={"If-None-Match": first["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    sent = AddComment(post_id=post_id, text="The first of others")
    added = mediator.send(sent, Context(actor="bob")).ids["comment_id"]
    for number in range(2):
        sent = AddComment(post_id=post_id, text=f"new {number}")
        mediator.send(sent, Context(actor="bob"))
    arrive()
    changed = alice.get(address, headers={"If-None-Match": first["ETag"]})
    assert (changed.status_code, "3 new comments" in changed.text) == (200, True)
    [link] = re.findall('href="([^"]+)"', changed.text)
    assert link == f"/posts/{post_id}/comments/{added}/"
    assert "The first of others" in alice.get(link, follow=True).text
    for number in range(20):
        sent = AddComment(post_id=post_id, text=f"newer {number}")
        mediator.send(sent, Context(actor="bob"))
    arrive()
    last = alice.get(address)
    assert "20 or more new comments" in last.text
    assert last.status_code == 286, "htmx asks no more"
    assert "new-comments" not in alice.get(f"/posts/{post_id}/").text, "it has a next page"
    assert f"{address[:50]}" in alice.get(f"/posts/{post_id}/?at=end").text
    assert alice.get(f"{address[:57]}?cursor=x").status_code == 400


def test_where_nobody_has_commented_the_first_comment_is_announced(sqlite: Mode) -> None:
    post_id = mediator.send(NewPost(message="Alone"), Context(actor="alice")).stream_id
    arrive()
    address = f"/posts/{post_id}/new-comments/"
    assert f'hx-get="{address}"' in Client().get(f"/posts/{post_id}/").text
    assert Client().get(address).content == b""
    mediator.send(AddComment(post_id=post_id, text="Not any more"), Context(actor="bob"))
    arrive()
    assert "1 new comment<" in Client().get(address).text


def test_a_feed_costs_few_statements(post_id: UUID) -> None:
    alice = signed_in()
    with (
        CaptureQueriesContext(connections["read"]) as read,
        CaptureQueriesContext(connections["default"]) as written,
    ):
        assert alice.get("/").status_code == 200
    assert len(read) <= 3
    assert len(written) <= 3, "the session, its person, and what they have just changed"
    with CaptureQueriesContext(connections["default"]) as written:
        assert Client().get("/").status_code == 200
    assert len(written) == 0


# --- one's own changes -----------------------------------------------------------------------


def test_a_page_that_waits_shows_what_was_sent(post_id: UUID) -> None:
    for text in (
        "First line\n\n\tcode",
        "word " * 1_999,
        "\u202e<b>☃" + "".join(map(chr, range(999, 9_999))),
    ):
        alice = signed_in()
        where = alice.post("/write/", {"text": text, "form": text[:20]})["Location"]
        cookie = alice.cookies["sent"]
        assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (where, True, "Lax")
        assert len(cookie.OutputString()) < 4_096, "a browser drops a longer one"
        waiting = alice.get(where)
        assert (waiting.status_code, "on its way" in waiting.text) == (202, True)
        assert str(html_of(text))[:200] in waiting.text
        other = f"/posts/{alice.post('/write/', {'text': 'b', 'form': 'g'})['Location'][7:]}"
        arrive()
        shown = alice.get(where)
        assert shown.status_code == 200
        assert shown.cookies["sent"].value == ""
        assert alice.get(other).status_code == 200


def test_what_somebody_made_up_as_sent_is_not_shown(post_id: UUID) -> None:
    alice = signed_in()
    where = alice.post("/write/", {"text": "mine", "form": "f"})["Location"]
    for forged in ("", "mine", signing.dumps("forged", salt="another"), ":::", "a:b:c"):
        alice.cookies["sent"] = forged
        waiting = alice.get(where)
        assert waiting.status_code == 202
        assert "<article" not in waiting.text


def test_a_page_that_is_behind_says_so_and_tells_staff_what_to_start(post_id: UUID) -> None:
    alice = signed_in()
    where = alice.post("/write/", {"text": "not consumed", "form": "f"})["Location"]
    for address, status in ((where, 202), ("/", 200)):
        answer = alice.get(address)
        assert answer.status_code == status
        text = answer.content.decode()
        assert "is stored, and not shown here yet" in text
        assert "manage.py" not in text, "what to type is for who can"
        assert 'http-equiv="refresh"' in text
    assert "not shown here yet" not in Client().get("/").content.decode(), "others wait for nothing"
    User.objects.filter(username="alice").update(is_staff=True)
    assert "Start <code>manage.py runconsumer</code>" in alice.get("/").text
    arrive()
    for address in (where, "/"):
        text = alice.get(address).content.decode()
        assert "not consumed" in text
        assert "is stored, and not shown here yet" not in text
