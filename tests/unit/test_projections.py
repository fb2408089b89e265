"""What each event changes in the read models, without a database; and what the kit says when a
projection is asked for what it has not."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.exceptions import FieldDoesNotExist

from contracts.posts import (
    CommentAdded,
    CommentRemoved,
    CommentUpdated,
    MessageUpdated,
    PostCreated,
    PostLiked,
    PostRemoved,
    PostUnliked,
)
from messaging.codec import RecordedEvent, own_copy
from messaging.exceptions import RegistrationError
from messaging.projections.models import StreamProgress
from messaging.projections.registry import PROJECTIONS, Applier, Projection, no_rows
from messaging.projections.rows import ForeignRow, MissingRow, RowBatch, Rows, UndeclaredRow
from messaging.testing import project, recorded, registered
from queries_app.models import (
    Comment,
    CommentText,
    History,
    HistoryEntry,
    Like,
    Likes,
    Person,
    Post,
)
from queries_app.projections import history, likes, people, posts
from tests.support.loans import LoanOpened

ID, OTHER, COMMENT = uuid4(), uuid4(), uuid4()
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CREATED = PostCreated(post_id=ID, author="alice", message="Hi")
EDITED = MessageUpdated(post_id=ID, message="Ho")
LIKED = PostLiked(post_id=ID, username="bob")
UNLIKED = PostUnliked(post_id=ID, username="bob")
COMMENTED = CommentAdded(post_id=ID, comment_id=COMMENT, author="bob", text="Yes")
REWORDED = CommentUpdated(post_id=ID, comment_id=COMMENT, text="Yes!")
UNCOMMENTED = CommentRemoved(post_id=ID, comment_id=COMMENT)
REMOVED = PostRemoved(post_id=ID)


@pytest.fixture
def scratch() -> Iterator[Projection]:
    """A projection without functions yet, which a test gives it."""
    yield Projection("scratch", of="post", models=[Likes, Like])
    del PROJECTIONS["scratch"]


def test_a_post_says_who_wrote_what_and_when() -> None:
    post = project(posts, recorded(CREATED, recorded_at=NOON)).get(Post)
    assert (post.author, post.message, post.posted_at) == ("alice", "Hi", NOON)
    assert (post.stream_id, post.version, post.visible, post.edited_at) == (ID, 1, True, None)


def test_an_edit_changes_the_text_and_says_when() -> None:
    post = project(posts, CREATED, recorded(EDITED, recorded_at=NOON)).get(Post)
    assert (post.message, post.edited_at, post.version) == ("Ho", NOON, 2)


def test_likes_and_comments_are_counted() -> None:
    post = project(posts, CREATED, LIKED, COMMENTED).get(Post)
    assert (post.likes, post.has_likes, post.comments_count, post.has_comments) == (1, 1, 1, 1)
    rows = project(posts, CREATED, LIKED, COMMENTED, UNLIKED, UNCOMMENTED)
    post = rows.get(Post)
    assert (post.likes, post.has_likes, post.comments_count, post.has_comments) == (0, 0, 0, 0)
    assert rows.all(Comment) == []


def test_a_comment_is_a_row_that_its_edit_changes() -> None:
    comment = project(posts, CREATED, COMMENTED, REWORDED).get(Comment, comment_id=COMMENT)
    assert (comment.author, comment.text, comment.stream_id) == ("bob", "Yes!", ID)
    assert comment.edited_at is not None
    assert comment.edited_at > comment.commented_at, "each event is a second later"


def test_of_a_removed_post_nothing_is_left_but_its_progress() -> None:
    rows = project(posts, CREATED, LIKED, COMMENTED, REMOVED)
    post = rows.get(Post)
    assert (post.visible, post.message, post.likes, post.comments_count) == (False, "", 0, 0)
    assert post.version == 4
    assert rows.all(Comment) == []


def test_each_like_is_a_row_until_it_is_taken_back() -> None:
    rows = project(likes, CREATED, LIKED)
    assert (rows.get(Likes).count, rows.get(Like).username) == (1, "bob")
    rows = project(likes, CREATED, LIKED, UNLIKED)
    assert (rows.get(Likes).count, rows.all(Like)) == (0, [])


def test_a_history_says_who_did_what_with_the_texts_before_and_after() -> None:
    edited = recorded(EDITED, actor="alice", recorded_at=NOON)
    rows = project(history, CREATED, COMMENTED, edited, UNCOMMENTED)
    entry = rows.get(HistoryEntry, what="message_updated")
    assert (entry.actor, entry.at, entry.old_text, entry.new_text) == ("alice", NOON, "Hi", "Ho")
    assert [one.position for one in rows.all(HistoryEntry)] == [1, 2, 3, 4]
    assert rows.get(HistoryEntry, what="comment_removed").old_text == "Yes"
    assert rows.all(CommentText) == []


def test_an_event_may_need_rows_that_its_envelope_names(scratch: Projection) -> None:
    """Whose account was deleted is the actor's business: the payload need not repeat it."""

    @scratch.on(PostLiked)
    def liked(post: Likes, event: PostLiked, rows: Rows) -> None:
        rows.add(Like(username=event.username))

    @scratch.on(PostUnliked, rows=lambda _, envelope: [(Like, envelope.actor)])
    def unliked(post: Likes, event: PostUnliked, rows: Rows) -> None:
        rows.delete(rows.require(Like, rows.envelope.actor))

    other = PostLiked(post_id=ID, username="carol")
    rows = project(scratch, LIKED, other, recorded(UNLIKED, actor="carol"))
    assert [like.username for like in rows.all(Like)] == ["bob"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    name: str
    parts: tuple["Tag", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    post_id: UUID
    tags: list[Tag]
    notes: tuple[dict[str, str], ...]
    main: Tag | None


def test_what_a_function_does_to_its_event_changes_the_event_for_nobody_else(
    scratch: Projection,
) -> None:
    """Projections of one process read it once, and a batch that begins again takes it again."""
    seen = []

    def tagged(post: Likes, event: Tagged, rows: Rows) -> None:
        event.tags.append(Tag(name="new"))
        event.notes[0]["of"] = "mine"
        seen.append(event)

    scratch.appliers[Tagged] = Applier(tagged, no_rows)
    event = Tagged(post_id=ID, tags=[Tag(name="old")], notes=({},), main=None)
    for _ in range(2):
        RowBatch(scratch, 1).apply(RecordedEvent(recorded(CREATED).envelope, event))
    assert (event.tags, event.notes) == ([Tag(name="old")], ({},))
    assert seen[0] == seen[1] != event


def test_an_event_that_nobody_can_change_is_not_copied() -> None:
    assert own_copy(COMMENTED) is COMMENTED
    assert own_copy(tree := Tag(name="a", parts=(Tag(name="b"),))) is tree


# --- totals ---


def test_a_persons_posts_are_counted_over_all_posts_and_since_the_first() -> None:
    other = PostCreated(post_id=OTHER, author="alice", message="Hi")
    earlier, later = recorded(other, recorded_at=NOON), recorded(CREATED, recorded_at=NOON + HOUR)
    rows = project(people, later, earlier, COMMENTED)
    assert (rows.get(Person).posts, rows.get(Person).since) == (2, NOON)
    removed = project(people, later, earlier, recorded(REMOVED, actor="alice")).get(Person)
    assert (removed.username, removed.posts, removed.since) == ("alice", 1, NOON)


@pytest.fixture
def totals() -> Iterator[Projection]:
    yield Projection("totals", of="post", models=[Person], single_owner=True)
    del PROJECTIONS["totals"]


def add(event: PostCreated, rows: Rows) -> None:
    rows.add(Person(username=event.author, since=NOON))


def test_a_total_that_is_not_declared_cannot_be_added_over_the_one_that_is_there(
    totals: Projection,
) -> None:
    totals.on(PostCreated)(add)
    with pytest.raises(UndeclaredRow, match="alice"):
        project(totals, CREATED)


def test_nor_can_one_be_deleted_nor_all_of_a_stream(totals: Projection) -> None:
    @totals.on(PostCreated, rows=lambda e: [(Person, e.author)])
    def delete(event: PostCreated, rows: Rows) -> None:
        rows.delete(rows.add(Person(username=event.author, since=NOON)))
        with pytest.raises(UndeclaredRow):
            rows.delete(Person(username="bob", since=NOON))
        with pytest.raises(ForeignRow, match="belong to no stream"):
            rows.delete_all(Person)

    rows = project(totals, CREATED)
    assert (rows.all(Person), rows.get(StreamProgress).version) == ([], 1)


def test_a_function_for_totals_has_no_root(totals: Projection) -> None:
    def with_root(root: object, event: PostCreated, rows: Rows) -> None:
        raise AssertionError("never called")

    with pytest.raises(RegistrationError, match=r"calls it with \(event, rows\)"):
        totals.on(PostCreated)(with_root)


def test_commands_do_not_write_totals_themselves() -> None:
    with pytest.raises(RegistrationError, match="inline=True or single_owner=True"):
        Projection("wrong", of="post", models=[Person], single_owner=True, inline=True)


@pytest.mark.parametrize(
    ("models", "single_owner", "why"),
    [
        ([], True, "every model is a TotalModel"),
        ([Person, Like], True, "every model is a TotalModel"),
        ([Likes, Person], False, "Person is a TotalModel.* needs single_owner=True"),
        ([Like], False, "the first model is the root"),
    ],
)
def test_totals_have_a_single_owner_and_rows_of_streams_have_none(
    models: list[Any], single_owner: bool, why: str
) -> None:
    with pytest.raises(RegistrationError, match=why):
        Projection("wrong", of="post", models=models, single_owner=single_owner)
    assert "wrong" not in PROJECTIONS


# --- the kit ------------------------------------------------------------------------------------


def test_events_of_several_streams_are_numbered_by_stream() -> None:
    other = PostCreated(post_id=OTHER, author="carol", message="Hi")
    rows = project(posts, CREATED, other, LIKED)
    assert rows.get(Post, stream_id=ID).version == 2
    assert rows.get(Post, stream_id=OTHER).version == 1


def test_an_event_that_a_projection_does_not_handle_advances_it() -> None:
    rows = project(likes, CREATED, EDITED)
    assert (rows.get(Likes).version, rows.get(Likes).count) == (2, 0)


def test_without_events_there_are_no_rows() -> None:
    assert project(posts).all(Post) == project(posts).all(Comment) == []


def test_a_row_that_is_not_there_fails_and_those_that_are_there_are_shown() -> None:
    rows = project(likes, CREATED, LIKED)
    with pytest.raises(AssertionError) as failed:
        rows.get(Like, username="carol")
    text = str(failed.value)
    assert text.startswith("Like(username='carol')\n  expected\n    one row\n  actual\n    0 rows")
    assert f"Like(generation=1, stream_id={ID!r}, username='bob')" in text
    with pytest.raises(AssertionError, match="2 rows"):
        project(likes, CREATED, LIKED, PostLiked(post_id=ID, username="carol")).get(Like)


def test_rows_that_a_projection_does_not_declare_cannot_be_asked_for() -> None:
    for ask in (project(posts, CREATED).all, project(posts, CREATED).get):
        wanted = r"History is no read model of the projection 'posts', which declares Post, Comment"
        with pytest.raises(TypeError, match=wanted):
            ask(History)


def test_nor_can_fields_that_a_model_has_not() -> None:
    with pytest.raises(FieldDoesNotExist):
        project(likes, CREATED, LIKED).get(Like, user="bob")


@pytest.mark.parametrize("wrong", ["created", None, PostCreated])
def test_what_is_no_event_cannot_be_projected(wrong: Any) -> None:
    with pytest.raises(TypeError, match="takes events"):
        project(posts, wrong)


def test_nor_can_an_event_of_another_stream_type() -> None:
    with (
        registered("kit.loan_opened.v1", LoanOpened, stream="loan"),
        pytest.raises(TypeError, match=r"of the stream type 'loan': .*'post'"),
    ):
        project(posts, LoanOpened(amount=1))


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (recorded(CREATED, stream_id=OTHER), "its payload is about"),
        (recorded(CREATED, actor="a b"), "no account can have the name of its actor"),
        (PostLiked(post_id=ID, username="a b"), "no account can have the name in username"),
    ],
)
def test_nor_can_an_event_that_no_store_would_hold(wrong: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        project(posts, wrong)


def test_an_event_that_names_no_stream_is_of_one_that_can_be_chosen() -> None:
    with registered("kit.loan_opened.v1", LoanOpened, stream="post"):
        opened, loan_id = LoanOpened(amount=1), UUID(int=7)
        streams = [row.stream_id for row in project(posts, opened, opened).all(Post)]
        assert streams == [UUID(int=1)]
        chosen = project(posts, recorded(opened, stream_id=loan_id)).get(Post)
        assert (chosen.stream_id, chosen.version) == (loan_id, 1)


def test_what_a_projections_function_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingRow, match="Comment"):
        project(posts, CREATED, REWORDED)
    applier = posts.appliers[CommentUpdated]
    undeclared = type(applier)(applier.apply, lambda *_: ())
    monkeypatch.setitem(posts.appliers, CommentUpdated, undeclared)
    with pytest.raises(UndeclaredRow, match="name it in rows="):
        project(posts, CREATED, COMMENTED, REWORDED)


def test_totals_are_not_inline() -> None:
    with pytest.raises(RegistrationError, match="inline=True or single_owner=True"):
        Projection("wrong", of="post", models=[Person], single_owner=True, inline=True)
    assert "wrong" not in PROJECTIONS
