"""The history of a post, without what was removed from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from messaging import (
    PAGE_SIZE,
    Asker,
    Page,
    Query,
    SortKey,
    answers,
    anyone,
    live,
    live_root,
    page_of,
    query,
)
from queries_app.fields import CURSOR, NAME, SIZE, post_not_found
from queries_app.models import CommentText, History, HistoryEntry
from queries_app.projections.history import history

OLDEST_FIRST = SortKey(HistoryEntry, "position")
SEES_REMOVED = "queries_app.view_removed_text"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntryView:
    version: int  # of the post, by what happened
    # post_created, message_updated, comment_removed, ...
    what: str = field(metadata={"example": "message_updated"})
    actor: str = field(metadata=NAME)
    at: datetime
    comment_id: UUID | None
    old_text: str | None
    new_text: str | None
    removed: bool  # the post or the comment is gone, and its texts are for few


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindPostHistory(Query[Page[HistoryEntryView]]):
    """All that happened to a post, oldest first: who did what, with the old and new text.

    Of a removed comment, and of a removed post, who and when stay. The texts are shown to their
    author and to the staff, each with the permission to view removed texts.
    """

    post_id: UUID
    cursor: str | None = field(default=None, metadata=CURSOR)
    page_size: int = field(default=PAGE_SIZE, metadata=SIZE)


@answers(FindPostHistory, history)
def find_post_history(query: FindPostHistory, asker: Asker) -> Page[HistoryEntryView]:
    found: Page[HistoryEntry] = page_of(
        live(history, HistoryEntry).filter(stream_id=query.post_id),
        sort=OLDEST_FIRST,
        cursor=query.cursor,
        page_size=query.page_size,
        to_result=lambda entry: entry,
    )
    # After the entries, so that none that is removed meanwhile is taken for one that is not.
    root: History | None = live_root(history, query.post_id)
    if root is None or not (root.visible or found.results):
        raise post_not_found()
    gone = removed_of(root, found.results)
    may = bool(gone) and asker.has_perm(SEES_REMOVED)
    views = [
        entry_view(
            entry,
            removed=entry.position in gone,
            hidden=entry.position in gone
            and not (may and (asker.is_staff or asker.get_username() == entry.actor)),
        )
        for entry in found.results
    ]
    return Page(next=found.next, previous=found.previous, results=views)


def removed_of(root: History, entries: Sequence[HistoryEntry]) -> set[int]:
    """The positions of those whose texts are removed. Who writes a text is its entry's actor:
    only authors edit and remove."""
    texts = [entry for entry in entries if (entry.old_text, entry.new_text) != (None, None)]
    if not root.visible:
        return {entry.position for entry in texts}
    comments = {entry.comment_id for entry in texts if entry.comment_id is not None}
    if comments:
        there = live(history, CommentText).filter(stream_id=root.stream_id, comment_id__in=comments)
        comments -= set(there.values_list("comment_id", flat=True))
    return {entry.position for entry in texts if entry.comment_id in comments}


def entry_view(entry: HistoryEntry, *, removed: bool, hidden: bool) -> HistoryEntryView:
    return HistoryEntryView(
        version=entry.position,
        what=entry.what,
        actor=entry.actor,
        at=entry.at,
        comment_id=entry.comment_id,
        old_text=None if hidden else entry.old_text,
        new_text=None if hidden else entry.new_text,
        removed=removed,
    )
