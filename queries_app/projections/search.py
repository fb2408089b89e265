"""Which words the posts and their comments have, for the search.

A projection of its own: the index costs more to write than the posts, and another definition of
words rebuilds it alone. One row a text, so a post with thousands of comments is not written again
for each of them. Likes change no row of it but the stream's progress.
"""

from uuid import UUID

from contracts.posts import (
    STREAM_TYPE,
    CommentAdded,
    CommentRemoved,
    CommentUpdated,
    MessageUpdated,
    PostCreated,
    PostRemoved,
    Written,
    date_of,
)
from messaging import Projection, Rows
from queries_app.models import SearchedPost, SearchedText
from queries_app.words import words_of

search = Projection("search", of=STREAM_TYPE, models=[SearchedPost, SearchedText])


def comment_of(
    event: CommentUpdated | CommentRemoved,
) -> list[tuple[type[SearchedText], bool, UUID]]:
    return [(SearchedText, True, event.comment_id)]


@search.on(PostCreated)
def post_created(post: SearchedPost, event: PostCreated, rows: Rows) -> None:
    post.author = event.author
    post.posted_at = date_of(event, rows.envelope.recorded_at)
    add(rows, post, event, False, event.post_id, event.message)


@search.on(MessageUpdated)
def message_updated(post: SearchedPost, event: MessageUpdated, rows: Rows) -> None:
    """Replaces the row."""
    add(rows, post, event, False, event.post_id, event.message)


@search.on(CommentAdded)
def comment_added(post: SearchedPost, event: CommentAdded, rows: Rows) -> None:
    add(rows, post, event, True, event.comment_id, event.text)


@search.on(CommentUpdated, rows=comment_of)
def comment_updated(post: SearchedPost, event: CommentUpdated, rows: Rows) -> None:
    rows.require(SearchedText, True, event.comment_id).words = words_of(event.text)


@search.on(CommentRemoved, rows=comment_of)
def comment_removed(post: SearchedPost, event: CommentRemoved, rows: Rows) -> None:
    rows.delete(rows.require(SearchedText, True, event.comment_id))


@search.on(PostRemoved)
def post_removed(post: SearchedPost, event: PostRemoved, rows: Rows) -> None:
    rows.delete_all(SearchedText)


def add(
    rows: Rows, post: SearchedPost, event: Written, is_comment: bool, text_id: UUID, text: str
) -> None:
    written_at = date_of(event, rows.envelope.recorded_at)
    rows.add(
        SearchedText(
            is_comment=is_comment,
            text_id=text_id,
            author=post.author,
            posted_at=post.posted_at or written_at,  # or, where its creation was discarded
            written_at=written_at,
            words=words_of(text),
        )
    )
