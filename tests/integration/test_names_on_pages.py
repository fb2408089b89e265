"""No name in the read models breaks a page or an answer: rows may come of events that no relay
wrote, or of accounts that are older than today's rules."""

import re
from html import unescape
from uuid import uuid4

import pytest
from django.test import Client
from django.utils.html import escape

from accounts.models import User
from messaging.bus import current_bus
from messaging.message import utc_now
from messaging.projections.consuming import checkpoints
from messaging.projections.registry import PROJECTIONS
from queries_app.models import Comment, History, HistoryEntry, Likes, Post
from tests.support.api import QUERIES, Api
from tests.support.modes import Mode

NAMES = [
    "", "a/b", "//host", ".", "..", "?", "%2F", "a b", "a\nb", "\u202egnp.exe", "e\u0301" * 75,
    "😀" * 150, "/" * 150, '"><script>', "' onclick='x", "{{ 7|add:7 }}",
]  # fmt: skip
SIGNED_IN = ["a/b", "..", "' onclick='x"]


def rows_of(name: str) -> dict[str, str]:
    """A post by that person, who has commented; the addresses of all that shows it."""
    post_id, now = uuid4(), utc_now()
    post = {"generation": 1, "stream_id": post_id, "version": 2, "event_id": uuid4()}
    Post.objects.create(
        **post, author=name, message="text", posted_at=now, edited_at=now, visible=True,
        likes=1, comments_count=1, has_likes=True, has_comments=True,
    )  # fmt: skip
    Likes.objects.create(**post, count=1, visible=True)
    History.objects.create(**post, message="text", visible=True)
    comment_id = uuid4()
    Comment.objects.create(
        generation=1, stream_id=post_id, comment_id=comment_id, author=name, text="a comment",
        commented_at=now,
    )  # fmt: skip
    HistoryEntry.objects.create(
        generation=1, stream_id=post_id, position=1, what="post_created", actor=name, at=now,
        new_text="text",
    )  # fmt: skip
    return {"post_id": str(post_id), "comment_id": str(comment_id)}


def get(client: Client, page: str) -> str:
    answer = client.get(page)
    assert answer.status_code == 200, page
    return answer.content.decode()


@pytest.fixture(scope="module")
def posts_of(unchanged: Mode) -> dict[str, dict[str, str]]:
    """By name."""
    current_bus().ensure_topic()
    for projection in PROJECTIONS:
        checkpoints.begin(projection, current_bus().identity())
    return {name: rows_of(name) for name in NAMES}


@pytest.mark.parametrize("address", ["/", "/most-liked/", "/with-comments/"])
def test_lists_show_any_name(posts_of: dict[str, dict[str, str]], address: str) -> None:
    client = Client(raise_request_exception=False)
    found = shown = get(client, address)
    while older := re.search(r'rel="next" href="([^"]+)"', shown):
        shown = get(client, address + unescape(older[1]))
        found += shown
    for name in NAMES:
        assert escape(name) in found, ascii(name)
    assert found.count("<article") == len(NAMES)


@pytest.mark.parametrize(
    "query", ["find-all-posts", "find-posts-with-comments", "find-posts-with-likes"]
)
def test_answers_hold_any_name(posts_of: dict[str, dict[str, str]], query: str) -> None:
    found = Api().ask(query, page_size=100).json()["results"]
    assert sorted(one["author"] for one in found) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_post_its_comment_and_its_history_show_any_name(
    posts_of: dict[str, dict[str, str]], name: str
) -> None:
    ids = posts_of[name]
    post = f"/posts/{ids['post_id']}/"
    client = Client(raise_request_exception=False)
    for page in (post, f"{post}card/", f"{post}history/"):
        assert escape(name) in get(client, page), page
    part = client.get(f"{post}comments/{ids['comment_id']}/", headers={"HX-Request": "true"})
    assert escape(name) in part.text
    found = Api().client.get(f"{QUERIES}/find-post-by-id/?post_id={ids['post_id']}").json()
    assert (found["author"], found["comments"][0]["author"]) == (name, name)
    if name in SIGNED_IN:
        [user] = User.objects.bulk_create([User(username=name)])  # of before there were rules
        client.force_login(user)
        for page in (post, "/accounts/"):
            assert escape(name) in get(client, page), page


@pytest.mark.parametrize("name", ["a b", "%2F", "?", "\u202egnp.exe"], ids=ascii)
def test_the_link_of_a_name_leads_to_its_page(
    posts_of: dict[str, dict[str, str]], name: str
) -> None:
    client = Client(raise_request_exception=False)
    shown = get(client, f"/posts/{posts_of[name]['post_id']}/")
    link = shown.partition('class="by"')[2].partition('href="')[2].partition('"')[0]
    assert posts_of[name]["post_id"] in get(client, link)
