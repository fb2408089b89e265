"""Who likes which post, and the posts that are liked most."""

from uuid import UUID

from commands_app.commands import DeletePost, LikePost, NewPost, UnlikePost
from messaging import mediator
from messaging.message import Context
from messaging.projections.registry import PROJECTIONS
from messaging.testing import deliver_all
from queries_app.queries import FindMostLikedPosts, liked_by
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
