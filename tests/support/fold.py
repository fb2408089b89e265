"""The read models as they have to be: a plain fold of the event store, row by row."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from messaging.eventstore.models import Event
from queries_app.models import Comment, HistoryEntry, Like, Likes, Person, Post, SearchedText
from queries_app.words import words_of


def expected() -> tuple[dict[UUID, dict[str, Any]], dict[tuple[UUID, UUID], dict[str, Any]]]:
    """The posts and comments that the stored events add up to. Written without any of the
    project's projections, on purpose."""
    posts: dict[UUID, dict[str, Any]] = {}
    comments: dict[tuple[UUID, UUID], dict[str, Any]] = {}
    for event in Event.objects.order_by("stream_id", "version"):
        data = msgspec.json.decode(event.data)
        post = posts.setdefault(event.stream_id, {"version": 0, "likers": set()})
        assert event.version == post["version"] + 1, "the store's versions are dense"
        post["version"], post["event_id"] = event.version, event.event_id
        kind = event.type.removeprefix("posts.").removesuffix(".v1")
        comment = (event.stream_id, UUID(data["comment_id"])) if "comment_id" in data else None
        if kind == "post_created":
            post |= {"author": data["author"], "message": data["message"], "visible": True}
            post |= {"posted_at": event.recorded_at, "edited_at": None}
        elif kind == "message_updated":
            post |= {"message": data["message"], "edited_at": event.recorded_at}
        elif kind == "post_liked":
            assert data["username"] not in post["likers"], "one like a person"
            post["likers"].add(data["username"])
        elif kind == "post_unliked":
            post["likers"].remove(data["username"])
        elif kind == "comment_added":
            assert comment not in comments
            comments[comment] = {"author": data["author"], "text": data["text"]}
            comments[comment] |= {"commented_at": event.recorded_at, "edited_at": None}
        elif kind == "comment_updated":
            comments[comment] |= {"text": data["text"], "edited_at": event.recorded_at}
        elif kind == "comment_removed":
            del comments[comment]
        elif kind == "post_removed":
            post |= {"visible": False, "message": "", "likers": set()}
            comments = {key: row for key, row in comments.items() if key[0] != event.stream_id}
        else:
            raise AssertionError(f"an event that the fold does not know: {event.type}")
    for stream_id, post in posts.items():
        post["likes"] = len(post.pop("likers"))
        post["comments_count"] = sum(1 for key in comments if key[0] == stream_id)
        post["has_likes"] = post["likes"] > 0
        post["has_comments"] = post["comments_count"] > 0
    return posts, comments


def assert_read_models_equal_the_fold(generation: int = 1) -> int:
    """Compare every row; return how many posts there are."""
    posts, comments = expected()
    found_posts = {
        row.pop("stream_id"): row
        for row in Post.objects.filter(generation=generation).values()
        if [row.pop("id"), row.pop("generation"), row.pop("event_applied_at")]
    }
    found_comments = {
        (row.pop("stream_id"), row.pop("comment_id")): row
        for row in Comment.objects.filter(generation=generation).values()
        if [row.pop("id"), row.pop("generation")]
    }
    differing = [key for key in posts if posts[key] != found_posts.get(key)]
    assert not differing, f"{len(differing)} posts differ: {posts[differing[0]]} / " + str(
        found_posts.get(differing[0])
    )
    assert found_posts == posts
    assert found_comments == comments
    return len(posts)


def expected_history() -> dict[tuple[UUID, int], dict[str, Any]]:
    """The history entries that the stored events add up to."""
    entries: dict[tuple[UUID, int], dict[str, Any]] = {}
    texts: dict[tuple[UUID, str | None], str] = {}  # (stream, comment) -> the text now
    for event in Event.objects.order_by("stream_id", "version"):
        data = msgspec.json.decode(event.data)
        what = event.type.removeprefix("posts.").removesuffix(".v1")
        comment_id = data.get("comment_id")
        thing = (event.stream_id, comment_id)
        new = data.get("message", data.get("text"))
        entries[event.stream_id, event.version] = {
            "what": what,
            "actor": event.actor,
            "at": event.recorded_at,
            "comment_id": comment_id and UUID(comment_id),
            "old_text": texts.get(thing) if comment_id or new is not None else None,
            "new_text": new,
        }
        if new is not None:
            texts[thing] = new
    return entries


def assert_histories_equal_the_fold(generation: int = 1) -> int:
    """Compare every entry; return how many there are."""
    found = {
        (row.pop("stream_id"), row.pop("position")): row
        for row in HistoryEntry.objects.filter(generation=generation).values()
        if [row.pop("id"), row.pop("generation")]
    }
    entries = expected_history()
    assert found == entries
    return len(entries)


def expected_likes() -> tuple[dict[UUID, tuple[int, bool]], set[tuple[UUID, str]]]:
    """(likes, visible) of each post, and who likes which, as the stored events add up to."""
    posts = dict.fromkeys(Event.objects.values_list("stream_id", flat=True), (0, False))
    likers: set[tuple[UUID, str]] = set()
    gone: set[UUID] = set()
    for event in Event.objects.order_by("stream_id", "version"):
        username = msgspec.json.decode(event.data).get("username")
        if event.type == "posts.post_liked.v1":
            likers.add((event.stream_id, username))
        elif event.type == "posts.post_unliked.v1":
            likers.remove((event.stream_id, username))
        elif event.type == "posts.post_removed.v1":
            gone.add(event.stream_id)
    likers = {pair for pair in likers if pair[0] not in gone}
    for stream_id in posts:
        count = sum(1 for pair in likers if pair[0] == stream_id)
        posts[stream_id] = (count, stream_id not in gone)
    return posts, likers


def assert_likes_equal_the_fold(generation: int = 1) -> int:
    """Compare every row; return how many posts there are."""
    posts, likers = expected_likes()
    rows = Likes.objects.filter(generation=generation)
    assert {row.stream_id: (row.count, row.visible) for row in rows} == posts
    found = Like.objects.filter(generation=generation).values_list("stream_id", "username")
    assert sorted(found) == sorted(likers), "each like once"
    return len(posts)


def expected_people() -> dict[str, tuple[int, datetime]]:
    """(posts, when the first was written) of each person, as the stored events add up to."""
    found: dict[str, tuple[int, datetime]] = {}
    authors: dict[UUID, str] = {}
    for event in Event.objects.order_by("recorded_at", "stream_id", "version"):
        if event.type == "posts.post_created.v1":
            author = authors[event.stream_id] = msgspec.json.decode(event.data)["author"]
            count, since = found.get(author, (0, event.recorded_at))
            found[author] = (count + 1, min(since, event.recorded_at))
        elif event.type == "posts.post_removed.v1":
            count, since = found[authors[event.stream_id]]
            found[authors[event.stream_id]] = (count - 1, since)
    return found


def assert_people_equal_the_fold(generation: int = 1) -> int:
    """Compare every row; return how many people there are."""
    rows = Person.objects.filter(generation=generation)
    assert {row.username: (row.posts, row.since) for row in rows} == expected_people()
    return len(rows)


def expected_words() -> dict[tuple[UUID, UUID], set[str]]:
    """The words of each text that there is, (stream, comment or post) -> words."""
    texts: dict[tuple[UUID, UUID], str] = {}
    for event in Event.objects.order_by("stream_id", "version"):
        data = msgspec.json.decode(event.data)
        key = (event.stream_id, UUID(data.get("comment_id", data["post_id"])))
        if event.type == "posts.comment_removed.v1":
            del texts[key]
        elif event.type == "posts.post_removed.v1":
            texts = {key: text for key, text in texts.items() if key[0] != event.stream_id}
        elif (text := data.get("message", data.get("text"))) is not None:
            texts[key] = text
    return {key: set(words_of(text).split()) for key, text in texts.items()}


def assert_words_equal_the_fold(generation: int = 1) -> int:
    """Compare every row; return how many texts there are."""
    rows = SearchedText.objects.filter(generation=generation)
    found = {(row.stream_id, row.text_id): set(row.words.split()) for row in rows}
    assert found == expected_words()
    return len(found)
