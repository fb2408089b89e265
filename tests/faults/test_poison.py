"""One bad event among a hundred thousand: all other streams are exact, and it can be retried."""

from uuid import UUID, uuid4

import pytest

from contracts.posts import PostCreated, PostLiked
from messaging.projections.consuming import resolving
from messaging.projections.models import DeadLetter
from messaging.projections.registry import Applier
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.records import publish, record_of


def poison_in_the_middle(streams: int, each: int) -> None:
    ids = [uuid4() for _ in range(streams)]
    bad = ids[streams // 2]
    publish(*(record_of(i, 1, PostCreated(post_id=i, author="a", message="Hi")) for i in ids))
    sound = posts.appliers[PostLiked]

    def mistaken(post: Post, event: PostLiked, rows: object) -> None:
        if event.post_id == bad and event.username == f"person-{each // 2}":
            raise ValueError("this one is too much")
        sound.apply(post, event, rows)

    posts.appliers[PostLiked] = Applier(mistaken, sound.row_keys)
    try:
        for version in range(2, each + 1):
            publish(*(record_of(i, version, liked(i, version)) for i in ids))
            consume_all()
    finally:
        posts.appliers[PostLiked] = sound
    versions = dict(Post.objects.values_list("stream_id", "version"))
    assert versions.pop(bad) == each // 2 - 1
    assert set(versions.values()) == {each}
    assert len(versions) == streams - 1
    assert DeadLetter.objects.count() == each - each // 2 + 1
    done = resolving.retry(DeadLetter.objects.earliest("version"))
    assert done.parked == 0
    assert set(Post.objects.values_list("version", "likes")) == {(each, each - 1)}


def liked(post_id: UUID, version: int) -> PostLiked:
    return PostLiked(post_id=post_id, username=f"person-{version}")


def test_one_bad_event_holds_up_its_own_stream_alone(database: Mode) -> None:
    poison_in_the_middle(streams=100, each=20)


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_a_bad_event_in_the_middle_of_a_hundred_thousand(mode: Mode) -> None:
    poison_in_the_middle(streams=10_000, each=10)
