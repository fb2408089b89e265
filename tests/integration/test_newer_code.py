"""Events of newer code: their streams wait without a hand, and newer code applies them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from commands_app.commands import LikePost, NewPost
from contracts.posts import MessageUpdated, PostCreated
from messaging import codec, mediator
from messaging.bus.base import Message
from messaging.codec import upcasting
from messaging.codec.payload import CLASS_CHANGED, UPCASTER_WRONG
from messaging.eventstore.models import Event
from messaging.eventstore.unit_of_work import unit_of_work
from messaging.exceptions import NeedsNewerCode
from messaging.message import Context
from messaging.monitoring.status import current_status
from messaging.projections.consuming.automatic_retry import AutomaticRetry
from messaging.projections.models import DeadLetter
from messaging.projections.registry import Applier
from messaging.testing import registered
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.api import Api, browser, errors
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.processes import here
from tests.support.rebuilding import rebuild
from tests.support.records import publish, record_of
from tests.support.relaying import publish_all

ALICE = Context(actor="alice")
PINNED = "posts.post_pinned.v1"
WAITS = "waits for newer code"
ALL = range(12)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPinned:
    post_id: UUID


@contextmanager
def newer_code() -> Iterator[None]:
    with registered(PINNED, PostPinned, stream="post"):
        yield


def created(post_id: UUID) -> PostCreated:
    return PostCreated(post_id=post_id, author="alice", message="v1")


def pinned_post() -> UUID:
    """A post whose second event only newer code knows."""
    post_id = mediator.send(NewPost(message="v1"), ALICE).stream_id

    with newer_code(), unit_of_work(ALICE) as uow:
        uow.append("post", post_id, 1, [PostPinned(post_id=post_id)])
        uow.append("post", post_id, 2, [MessageUpdated(post_id=post_id, message="v3")])
    return post_id


def parked() -> list[tuple[int | None, str]]:
    return list(DeadLetter.objects.order_by("version").values_list("version", "code"))


def versions() -> set[int]:
    return set(Post.objects.values_list("version", flat=True))


def look() -> None:
    """What a consumer does when it starts."""
    AutomaticRetry(posts).run_if_due(1, ALL)


@pytest.mark.parametrize("unknown", [PINNED, "posts.post_liked.v9"], ids=["type", "version"])
def test_a_stream_waits_for_the_code_that_knows_its_event_and_others_go_on(
    database: Mode, unknown: str
) -> None:
    newer, other = uuid4(), uuid4()
    publish(record_of(newer, 1, created(newer)), record_of(other, 1, created(other)))
    with newer_code():
        publish(record_of(newer, 2, PostPinned(post_id=newer), type=unknown))
    edit = MessageUpdated(post_id=newer, message="v3")
    publish(record_of(newer, 3, edit), record_of(other, 2, replace(edit, post_id=other)))
    consume_all()
    assert parked() == [(2, WAITS), (3, "behind")]
    assert Post.objects.get(stream_id=newer).version == 1
    assert Post.objects.get(stream_id=other).version == 2


def test_waiting_streams_are_no_fault_of_the_code_and_need_no_hand(sqlite: Mode) -> None:
    streams = [uuid4() for _ in range(60)]
    with newer_code():
        publish(*(record_of(s, 1, PostPinned(post_id=s)) for s in streams))
    publish(*(record_of(s, 2, created(s)) for s in streams))
    consume_all()
    found = next(one for one in current_status().projections if one.name == "posts")
    assert (found.dead_letters, found.waits_for_newer_code) == (0, 60)
    assert "60 streams wait for newer code" in here("status").stdout
    assert f"{WAITS}  {streams[0]} v1" in here("deadletters", "list").stdout
    page = browser("root")
    person = page.get("/").wsgi_request.user
    person.is_staff = person.is_superuser = True
    person.save()
    assert "60 streams wait for newer code" in page.get("/admin/").content.decode()


def test_an_event_of_another_type_of_stream_does_not_wait(database: Mode) -> None:
    loan = uuid4()
    with newer_code():
        publish(record_of(loan, 1, PostPinned(post_id=loan), stream_type="loan"))
    consume_all()
    assert parked() == []


def test_newer_code_applies_what_waits_when_it_starts(database: Mode) -> None:
    pinned_post()
    publish_all()
    consume_all()
    look()  # the same code again
    assert parked() == [(2, WAITS), (3, "behind")]
    with newer_code():
        look()
    assert parked() == []
    assert list(Post.objects.values_list("version", "message")) == [(3, "v3")]


def test_what_waits_in_other_partitions_is_left_to_their_consumer(database: Mode) -> None:
    pinned_post()
    publish_all()
    consume_all()
    partition = DeadLetter.objects.get(version=2).partition
    with newer_code():
        retries = AutomaticRetry(posts)
        retries.run_if_due(1, set(ALL) - {partition})
        assert parked() == [(2, WAITS), (3, "behind")]
        retries.run_if_due(1, ALL)
        assert parked() == [(2, WAITS), (3, "behind")], "it looks now and then, not always"
        retries.run_at_once()
        retries.run_if_due(1, ALL)
        assert parked() == []


@pytest.mark.parametrize("source", ["log", "store"])
def test_a_rebuild_by_older_code_parks_it_as_a_consumer_does(sqlite: Mode, source: str) -> None:
    pinned_post()
    publish_all()
    consume_all()
    assert rebuild(posts, source).state == "done"
    assert parked() == [(2, WAITS), (3, "behind")]
    with newer_code():
        AutomaticRetry(posts).run_if_due(2, ALL)
    assert (parked(), versions()) == ([], {3})


def test_what_failed_is_tried_once_by_other_code(database: Mode) -> None:
    tried = []
    sound = posts.appliers[MessageUpdated]

    def broken(post: Post, event: MessageUpdated, rows: object) -> None:
        tried.append(event)
        raise ValueError("no")

    post_id = uuid4()
    edit = MessageUpdated(post_id=post_id, message="v2")
    publish(record_of(post_id, 1, created(post_id)), record_of(post_id, 2, edit))
    posts.appliers[MessageUpdated] = Applier(broken, sound.row_keys)
    try:
        consume_all()
        tried.clear()
        look()
        assert tried == []
        DeadLetter.objects.update(tried_by="other code")
        look()
        assert len(tried) == 1
        look()
        assert len(tried) == 1
    finally:
        posts.appliers[MessageUpdated] = sound
    assert parked() == [(2, "poison")]
    DeadLetter.objects.update(tried_by="other code")
    look()
    assert (parked(), versions()) == ([], {2})


def test_what_does_not_fit_its_class_is_parked_with_the_cure(database: Mode) -> None:
    post_id = uuid4()
    edit = record_of(post_id, 2, MessageUpdated(post_id=post_id, message="v2"))
    of_before = edit._replace(value=edit.value.replace(b'"message"', b'"body"'))
    publish(record_of(post_id, 1, created(post_id)), of_before)
    consume_all()
    assert parked() == [(2, "unreadable")]
    lack = "posts.message_updated.v1: Object missing required field `message`"
    assert DeadLetter.objects.get().reason == f"{lack}. {CLASS_CHANGED}"
    assert here("deadletters", "list").stdout.splitlines()[0].endswith(CLASS_CHANGED)


def test_an_event_that_its_upcaster_fails_at_is_parked_and_others_go_on(database: Mode) -> None:
    old = "posts.message_updated.v0"
    bad, other = uuid4(), uuid4()
    edit = MessageUpdated(post_id=bad, message="v2")
    publish(record_of(bad, 1, created(bad)), record_of(bad, 2, edit, type=old))
    edit = replace(edit, post_id=other)
    publish(record_of(other, 1, created(other)), record_of(other, 2, edit))
    codec.upcaster(old, "posts.message_updated.v1")(lambda data: {"message": data["body"]})
    try:
        consume_all()
    finally:
        del upcasting._upcasters[old]
    assert (parked(), Post.objects.get(stream_id=other).version) == ([(2, "unreadable")], 2)
    assert DeadLetter.objects.get().reason.endswith(UPCASTER_WRONG)


def test_all_that_wait_are_tried_though_they_are_many(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.projections.consuming.automatic_retry.MAX_RETRIED", 2)
    streams = [uuid4() for _ in range(5)]
    with newer_code():
        publish(*(record_of(s, 1, PostPinned(post_id=s)) for s in streams))
    consume_all()
    with newer_code():
        retries = AutomaticRetry(posts)
        for left in (3, 1, 0):
            retries.run_if_due(1, ALL)
            assert DeadLetter.objects.count() == left


def test_a_stream_that_cannot_be_tried_holds_up_nobody(database: Mode) -> None:
    forked, good = uuid4(), uuid4()
    publish(record_of(forked, 1, created(forked)))
    with newer_code():
        publish(record_of(good, 1, PostPinned(post_id=good)))
    consume_all()
    other = record_of(forked, 1, created(forked), event_id=uuid4())
    DeadLetter.objects.create(
        projection="posts", generation=1, stream_id=forked, version=1, event_id=uuid4(),
        partition=0, offset=99, key=other.key.encode(), value=other.value, code="poison",
    )  # fmt: skip
    with newer_code():
        look()
    assert DeadLetter.objects.get().stream_id == forked
    assert DeadLetter.objects.get().tried_by != ""
    assert versions() == {1}


def test_a_record_that_names_no_stream_is_tried_once_too(database: Mode) -> None:
    publish(Message("k", b"no json"))
    consume_all()
    DeadLetter.objects.update(tried_by="")  # parked before dead letters knew by which code
    look()
    assert parked() == [(None, "unreadable")]
    assert DeadLetter.objects.exclude(tried_by="").count() == 1


def test_commands_on_such_a_stream_are_for_later(database: Mode) -> None:
    post_id = pinned_post()
    with pytest.raises(NeedsNewerCode, match="post_pinned"):
        mediator.send(LikePost(post_id=post_id), Context(actor="bob", command_id=uuid4()))
    answer = Api("bob").send("like-post", post_id=str(post_id))
    assert (answer.status_code, errors(answer)) == (503, [("needs_newer_code", None)])
    assert int(answer["Retry-After"]) >= 1
    page = browser("bob")
    page.handler.enforce_csrf_checks = False
    answer = page.post(f"/posts/{post_id}/like/")
    assert (answer.status_code, int(answer["Retry-After"]) >= 1) == (503, True)
    assert Event.objects.count() == 3


def test_a_file_of_commands_stops_there_and_can_be_sent_again(sqlite: Mode, tmp_path: Path) -> None:
    post_id = pinned_post()
    lines = [
        {"command": "NewPost", "actor": "alice", "post": "p", "message": "Hi"},
        {"command": "LikePost", "actor": "bob", "post": str(post_id)},
    ]
    file = tmp_path / "lines"
    file.write_text("\n".join(map(json.dumps, lines)))
    done = here("sendcommands", str(file))
    assert (done.returncode, "newer code" in done.stderr) == (1, True)
    assert Event.objects.count() == 4
