"""The page of the search, without a browser."""

import re
from html import unescape
from urllib.parse import quote

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from commands_app.commands import AddComment, NewPost
from messaging import mediator
from messaging.message import Context
from messaging.projections.registry import PROJECTIONS
from messaging.testing import deliver_all
from queries_app.queries import MAX_QUERY
from tests.support.api import person
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.relaying import publish_all

FIELD = re.compile(r'<input type="search" id="q" name="q"[^>]*? maxlength="(\d+)"')


def post(message: str, *comments: str) -> None:
    post_id = mediator.send(NewPost(message=message), Context(actor="alice")).stream_id
    for text in comments:
        mediator.send(AddComment(post_id=post_id, text=text), Context(actor="bob"))


def opened(q: str, status: int = 200, **more: str) -> str:
    answer = Client().get("/search/", {"q": q, **more})
    assert answer.status_code == status
    return answer.content.decode()


def test_hits_are_marked_and_all_else_is_escaped(sqlite: Mode) -> None:
    post("<b>ripe</b> & <script>alert(1)</script> ripe", "not <i>ripe</i>")
    deliver_all()
    page = opened("RIPE")
    assert "&lt;b&gt;<mark>ripe</mark>&lt;/b&gt; &amp; &lt;script&gt;alert(1)" in page
    assert "not &lt;i&gt;<mark>ripe</mark>&lt;/i&gt;" in page
    assert re.search(r'href="/posts/[^/]+/comments/[^/]+/">Comment by <bdi>bob</bdi>', page)
    assert 'value="RIPE"' in page, "what was looked for stands in its field"
    script = '"><script>alert(2)</script>'
    assert script not in opened(script, author=script)
    assert "&lt;<mark>script</mark>&gt;" in opened("script")


def test_of_a_long_text_what_stands_around_the_hit_is_shown(sqlite: Mode) -> None:
    post("word " * 1_000 + "needle " + "word " * 900, "x" * 4_000 + " needle " + "y" * 4_000)
    deliver_all()
    page = opened("needle")
    assert page.count("<mark>needle</mark>") == 2
    assert len(page) < 5_000
    assert re.search(r"… (word )+<mark>needle</mark>( word)+ …", page)


def test_the_pages_beside_keep_words_and_author(sqlite: Mode) -> None:
    for n in range(45):
        post(f"a & b {n}")
    deliver_all()
    page, seen = opened("a&b", author="alice"), 0
    while True:
        seen += page.count("<article")
        links = re.findall(r'rel="next" href="([^"]+)"', page)
        if not links:
            break
        page = Client().get("/search/" + unescape(links[0])).content.decode()
    assert seen == 45
    back = unescape(re.findall(r'rel="prev" href="([^"]+)"', page)[0])
    assert back.startswith("?q=a%26b&author=alice&cursor=")
    assert "There are no more" not in page


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 200, "Words in a post or comment"),
        ("q=", 200, "Words in a post or comment"),
        ("q=%20%20", 200, "Words in a post or comment"),
        ("author=alice", 200, "Words in a post or comment"),
        ("q=***", 400, "Write at least one word"),
        ('q="', 400, "Write at least one word"),
        ("q=%ED%A0%80", 400, "Write at least one word"),
        ("q=" + "x" * 10_000, 400, "At most 200 characters; these are 10,000."),
        ("q=" + "%F0%9F%91%8D" * 201, 400, "At most 200 characters"),
        ("q=weir&author=" + "x" * 10_000, 200, "No post by"),
        ("q=weir&author=%ED%A0%80", 200, "No post by"),
        ("q=the+of+and", 200, "No post has all of these words"),
        ("q=NEAR(a,b)+OR+-c*+d:e", 200, "No post has all of these words"),
        ("q=';DROP+TABLE+queries_app_post;--", 200, "No post has all of these words"),
        ("q=%E2%80%AE%D7%A9%D7%9C%D7%95%D7%9D", 200, "No post has all of these words"),
        ("q=a&q=weir&order=rank", 200, "No post has all of these words"),
        ("q=weir&cursor=MQ", 400, "a cursor is not made by hand"),
        ("q=we%00ir", 400, "<h1>"),
    ],
    ids=lambda one: str(one)[:30],
)
def test_whatever_is_looked_for_gets_a_clear_answer(
    unchanged: Mode, query: str, status: int, said: str
) -> None:
    answer = Client(raise_request_exception=False).get(f"/search/?{query}")
    page = answer.content.decode()
    assert (answer.status_code, said in page) == (status, True), page
    assert len(answer.content) < 100_000


def test_what_was_refused_stands_in_its_field(sqlite: Mode) -> None:
    page = opened("***", status=400, author="bob")
    assert 'value="***"' in page
    assert 'value="bob"' in page
    assert 'aria-describedby="refused how" aria-invalid="true"' in page
    assert f'value="{"x" * MAX_QUERY}"' in opened("x" * 10_000, status=400), "and no more of it"


def test_there_is_one_field_in_the_head_of_each_page(sqlite: Mode) -> None:
    client = Client()
    pages = ["/", "/accounts/login/", "/search/", "/people/nobody/", "/none/"]
    for address in pages:
        assert FIELD.findall(client.get(address).content.decode()) == [str(MAX_QUERY)], address
    client.force_login(person("alice"))
    assert FIELD.findall(client.get("/").content.decode()) == [str(MAX_QUERY)]


def test_a_signed_in_person_finds_what_they_have_just_written_or_is_told(sqlite: Mode) -> None:
    client = Client()
    client.force_login(person("alice"))
    assert client.post("/write/", {"text": "kumquat"}).status_code == 302
    for reached in ("posts", "likes"):
        assert "not shown here yet" in client.get("/search/?q=kumquat").content.decode()
        publish_all()
        consume_all(PROJECTIONS[reached])
    assert "not shown here yet" in client.get("/search/?q=kumquat").content.decode()
    deliver_all()
    page = client.get("/search/?q=kumquat").content.decode()
    assert ("not shown here yet" in page, "<mark>kumquat</mark>" in page) == (False, True)


def test_a_search_by_somebody_signed_in_needs_eight_statements(sqlite: Mode) -> None:
    for n in range(25):
        post(f"apple {n}", "apple pie")
    deliver_all()
    client = Client()
    client.force_login(person("alice"))
    client.get("/search/?q=apple")
    with (
        CaptureQueriesContext(connections["read"]) as read,
        CaptureQueriesContext(connections["default"]) as write,
    ):
        assert client.get("/search/?q=" + quote("apple")).status_code == 200
    assert (len(read), len(write)) <= (5, 3)
