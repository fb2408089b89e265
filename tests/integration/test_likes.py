"""Who likes which post, and the posts that are liked most."""

import re
from uuid import UUID

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from commands_app.commands import DeletePost, LikePost, NewPost, UnlikePost
from messaging import NotFound, mediator
from messaging.message import Context
from messaging.projections.registry import PROJECTIONS
from messaging.testing import deliver_all
from queries_app.queries import FindLikes, FindMostLikedPosts, liked_by
from tests.support.consuming import consume_all
from tests.support.fold import assert_likes_equal_the_fold
from tests.support.modes import Mode
from tests.support.rebuilding import some_posts
from tests.support.relaying import publish_all

PEOPLE = [Context(actor=name) for name in ("alice", "bob", "carol")]


def posts_with_likes(*counts: int) -> list[UUID]:
    """Posts that so many people like."""
    found = []
    for count in counts:
        post_id = mediator.send(NewPost(message=f"liked by {count}"), PEOPLE[0]).stream_id
        for person in PEOPLE[:count]:
            mediator.send(LikePost(post_id=post_id), person)
        found.append(post_id)
    return found


def consumed() -> None:
    deliver_all()


def test_the_rows_equal_the_fold(mode: Mode) -> None:
    some_posts()
    consumed()
    assert assert_likes_equal_the_fold() == 6


def test_the_most_liked_come_first_page_by_page(database: Mode) -> None:
    one, three, none, two = posts_with_likes(1, 3, 0, 2)
    consumed()
    first = mediator.ask(FindMostLikedPosts(page_size=3))
    assert [view.post_id for view in first.results] == [three, two, one]
    rest = mediator.ask(FindMostLikedPosts(page_size=3, cursor=first.next))
    assert [view.post_id for view in rest.results] == [none]


def test_an_unlike_counts_and_a_removed_post_is_not_listed(database: Mode) -> None:
    gone, two = posts_with_likes(3, 2)
    mediator.send(DeletePost(post_id=gone), PEOPLE[0])
    mediator.send(UnlikePost(post_id=two), PEOPLE[1])
    consumed()
    assert [view.post_id for view in mediator.ask(FindMostLikedPosts()).results] == [two]
    assert liked_by("bob", [gone, two]) == set()
    assert liked_by("alice", [gone, two]) == {two}


def test_a_post_that_the_other_projection_lacks_is_left_out(database: Mode) -> None:
    posts_with_likes(1)
    publish_all()
    consume_all(PROJECTIONS["likes"])
    assert mediator.ask(FindMostLikedPosts()).results == []


# --- who likes a post -----------------------------------------------------------------------------


def liked_by_all(*names: str) -> UUID:
    post_id = mediator.send(NewPost(message="liked"), PEOPLE[0]).stream_id
    for name in names:
        mediator.send(LikePost(post_id=post_id), Context(actor=name))
    consumed()
    return post_id


def test_who_likes_a_post_comes_by_name_page_by_page(database: Mode) -> None:
    names = sorted(["ann", "bea", "Éva", "x" * 150, "ßen", "李明", "𐐀" * 150])
    post_id = liked_by_all(*reversed(names))
    found, cursor = [], None
    while not found or cursor:
        page = mediator.ask(FindLikes(post_id=post_id, page_size=2, cursor=cursor))
        found += [one.username for one in page.results]
        cursor = page.next
    assert sorted(found) == names
    assert len(found) == len(names)


def test_nobody_is_said_to_like_what_is_not_there(database: Mode) -> None:
    post_id = liked_by_all("bob")
    mediator.send(DeletePost(post_id=post_id), PEOPLE[0])
    consumed()
    for nowhere in (post_id, UUID(int=0)):
        with pytest.raises(NotFound):
            mediator.ask(FindLikes(post_id=nowhere))
        assert Client().get(f"/posts/{nowhere}/likes/").status_code == 404


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        (["ann"], "Liked by ann"),
        (["ann", "bob"], "Liked by ann and bob"),
        (["ann", "bob", "cid"], "Liked by ann, bob and cid"),
        (["ann", "bob", "cid", "dan"], "Liked by ann, bob, cid and 1 other"),
        ([f"p{n:02}" for n in range(25)], "Liked by p00, p01, p02 and 22 others"),
    ],
    ids=lambda one: str(len(one)),
)
def test_a_page_names_some_who_like_its_post_and_leads_to_all(
    sqlite: Mode, names: list[str], said: str
) -> None:
    post_id = liked_by_all(*names)
    with CaptureQueriesContext(connections["read"]) as reads:
        page = Client().get(f"/posts/{post_id}/").text
    assert len(reads) <= 4
    shown = re.findall('<p class="quiet">(Liked by .*?)</p>', page)
    assert [re.sub("<[^>]+>", "", one) for one in shown] == [said] * bool(said)
    if len(names) > 3:
        [link] = re.findall(f'href="(/posts/{post_id}/likes/)"', page)
        everybody = Client().get(link).text
        assert f">{names[-1]}<" in everybody or 'rel="next"' in everybody
        assert everybody.count("<li>") == min(len(names), 20)
