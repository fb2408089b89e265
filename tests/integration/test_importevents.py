"""A history from elsewhere: all of it is stored, once, or nothing."""

import gzip
import json
import os
import re
import signal
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import psycopg2
import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connections

from commands_app.commands import LikePost, NewPost
from messaging import mediator
from messaging.api.file_ids import id_of
from messaging.eventstore import bulk
from messaging.eventstore.models import Event, Outbox, Receipt, Stream
from messaging.eventstore.repository import REPOSITORIES
from messaging.eventstore.unit_of_work import unit_of_work
from messaging.exceptions import AlreadyReserved, ConcurrencyError, PostlogError
from messaging.importing import importer, reading, streams
from messaging.importing.importer import ImportRefused, import_events
from messaging.message import Context
from messaging.monitoring.models import OperatorAction
from messaging.projections.registry import PROJECTIONS
from messaging.testing.waiting import wait_until
from queries_app.models import Comment, Post
from queries_app.projections import posts
from tests.support.consuming import consume_all
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.modes import Mode
from tests.support.one_database import make_inline, one_database
from tests.support.processes import Worker, here, manage
from tests.support.relaying import publish_all
from tests.support.settings import postlog
from tests.support.threads import together

P1, P2 = id_of("p1"), id_of("p2")
MESSAGE = "Hi \\ \t"


def line(post: str, version: int, kind: str, minute: int, actor: str, **data: Any) -> bytes:
    at = f"2019-04-07T15:{minute:02}:00+02:00"
    found = {"stream": post, "version": version, "type": f"posts.{kind}.v1", "at": at}
    return json.dumps({**found, "actor": actor, "data": data}).encode() + b"\n"


def created(post: str, minute: int = 0) -> bytes:
    return line(post, 1, "post_created", minute, "alice", author="alice", message=MESSAGE)


def liked(post: str, version: int, minute: int = 1, by: str = "bob") -> bytes:
    return line(post, version, "post_liked", minute, by, username=by)


def commented(post: str, version: int, minute: int = 2) -> bytes:
    comment = {"comment_id": str(UUID(int=version)), "author": "bob", "text": "é\n"}
    return line(post, version, "comment_added", minute, "bob", **comment)


HISTORY = [
    created("p1"),
    created("p2"),
    liked("p1", 2),
    b"\n",
    commented("p2", 2),
    commented("p1", 3),
]


def imports(lines: list[bytes], **options: Any) -> importer.Imported:
    return import_events(lines, lambda _: None, **options)


def faults(*lines: bytes) -> list[tuple[int, str]]:
    with pytest.raises(ImportRefused) as refused:
        imports(list(lines))
    return [(fault.line, fault.reason) for fault in refused.value.faults]


def stored() -> dict[str, list[Any]]:
    """All rows of the tables that an import writes to."""
    models = (Event, Stream, Outbox, Receipt, get_user_model())
    return {one.__name__: sorted(one._default_manager.values_list(), key=repr) for one in models}


def versions() -> dict[UUID, list[int]]:
    """Of each stream, by position."""
    found: dict[UUID, list[int]] = {}
    for stream_id, version in Event.objects.order_by("position").values_list(
        "stream_id", "version"
    ):
        found.setdefault(stream_id, []).append(version)
    return found


@pytest.fixture(params=[1, 2_000], ids=["line by line", "at once"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in one chunk, and whatever memory has forgotten."""
    monkeypatch.setattr(reading, "LINES_AT_ONCE", request.param)
    monkeypatch.setattr(streams, "MAX_KEPT", request.param)


@pytest.mark.usefixtures("chunks")
def test_a_history_is_stored_published_and_shown_and_goes_on(database: Mode) -> None:
    done = imports(HISTORY)
    assert (done.events, done.begun, done.repeats, done.actors) == (5, 2, 0, 2)
    assert versions() == {P1: [1, 2, 3], P2: [1, 2]}
    assert list(Outbox.objects.order_by("position").values_list("position", flat=True)) == list(
        Event.objects.order_by("position").values_list("position", flat=True)
    )
    mediator.send(LikePost(post_id=P2), Context(actor="alice"))
    publish_all()
    assert [consume_all(one) for one in PROJECTIONS.values()] == [{}] * len(PROJECTIONS)
    shown = {post.stream_id: post for post in Post.objects.all()}
    assert [(shown[one].version, shown[one].likes) for one in (P1, P2)] == [(3, 1), (3, 1)]
    assert shown[P1].message == MESSAGE
    assert shown[P1].posted_at == datetime(2019, 4, 7, 13, tzinfo=UTC)
    assert list(Comment.objects.values_list("text", flat=True)) == ["é\n"] * 2
    verified = here("verify")
    assert verified.returncode == 0, verified.stdout


@pytest.mark.usefixtures("chunks")
def test_importing_a_file_again_changes_nothing(database: Mode) -> None:
    imports(HISTORY)
    mediator.send(LikePost(post_id=P1), Context(actor="alice"))
    before = stored()
    done = imports(HISTORY)
    assert (done.events, done.begun, done.repeats, done.actors) == (0, 0, 5, 0)
    assert stored() == before


@pytest.mark.usefixtures("chunks")
def test_a_file_that_has_grown_adds_what_is_new(database: Mode) -> None:
    imports(HISTORY)
    done = imports([*HISTORY, liked("p2", 3, minute=2), created("p3")])
    assert (done.events, done.begun, done.repeats) == (2, 1, 5)
    assert versions() == {P1: [1, 2, 3], P2: [1, 2, 3], id_of("p3"): [1]}
    assert Stream.objects.get(pk=P2).version == 3
    assert Outbox.objects.count() == 7


def test_a_line_that_is_there_twice_is_stored_once(sqlite: Mode) -> None:
    done = imports([created("p1"), created("p1")])
    assert (done.events, done.repeats) == (1, 1)


@pytest.mark.usefixtures("chunks")
def test_one_wrong_line_and_nothing_is_stored(database: Mode) -> None:
    before = stored()
    wrong = commented("p1", 4).replace(b'"text"', b'"txt"')
    assert faults(*HISTORY, wrong) == [
        (7, "posts.comment_added.v1: Object missing required field `text`")
    ]
    assert stored() == before


def test_all_faults_are_named_by_line_but_no_consequences(database: Mode) -> None:
    bad = created("p1").replace(b"message", b"massage")
    found = faults(bad, liked("p1", 2), liked("p2", 1), b"no", created("p3"), liked("p3", 3))
    assert [number for number, _ in found] == [1, 3, 4, 6]


def test_after_many_faults_the_rest_is_not_read(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINES_AT_ONCE", 1)
    assert len(faults(*[b"no"] * 100)) == importer.MAX_FAULTS + 1


OTHER = created("p1").replace(b"Hi", b"Ho")
AGAINST_THE_STORE: dict[str, tuple[list[bytes], str]] = {
    "a gap after what is stored": ([liked("p1", 5)], "leaves a gap: the one before is 3"),
    "a gap at the beginning": ([liked("p9", 2)], "leaves a gap: they begin with 1"),
    "versions out of order": (
        [created("p9"), liked("p9", 3), liked("p9", 2)], "leaves a gap: the one before is 1",
    ),
    "another event of a stored version": ([OTHER], "version 1 of .* is another event already"),
    "two events of one version": (
        [created("p9"), created("p9", minute=1)], "another event already",
    ),
    "a time before that of the store": (
        [liked("p1", 4, minute=1)], "times of a stream never go back",
    ),
    "a time before that of the file": (
        [created("p9", minute=2), liked("p9", 2, minute=1)], "times of a stream never go back",
    ),
    "what cannot be the first": ([liked("p9", 1)], "posts.post_liked.v1 cannot follow version 0"),
    "a stream of another type": ([liked("p2", 3)], "'post', and .* is of type 'loan'"),
    "an actor in other letters": ([liked("p1", 4, by="BOB")], "BOB has the account bob"),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "why"), AGAINST_THE_STORE.values(), ids=AGAINST_THE_STORE.keys())
def test_what_no_handler_could_have_appended_is_refused(
    stored_history: None, lines: list[bytes], why: str
) -> None:
    before = stored()
    [(number, said)] = faults(*lines)
    assert re.search(why, said), said
    assert number in (1, 2)
    assert stored() == before


@pytest.fixture
def stored_history(database: Mode) -> None:
    imports(HISTORY)
    Stream.objects.filter(pk=P2).update(stream_type="loan")


def test_a_stream_that_somebody_begins_meanwhile_is_no_part_of_two_histories(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    mediator.send(NewPost(post_id=P2, message="mine"), Context(actor="alice"))
    monkeypatch.setattr(bulk, "lock_streams", lambda _: {})  # as it was a moment before
    before = stored()
    with pytest.raises(PostlogError, match="begun one of these streams meanwhile"):
        imports(HISTORY)
    assert stored() == before


def test_a_command_waits_for_the_import_of_its_stream_and_comes_after_it(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports(HISTORY)
    sent: list[int] = []

    def like() -> None:
        sent.append(mediator.send(LikePost(post_id=P1), Context(actor="carol")).version)

    command, append = Thread(target=lambda: together(like)), bulk.append

    def append_after_the_command_began(*arguments: Any) -> list[int]:
        command.start()
        wait_until(lambda: waiting_for_a_lock() == 1, "the command waits for the stream")
        return append(*arguments)

    monkeypatch.setattr(bulk, "append", append_after_the_command_began)
    monkeypatch.delitem(REPOSITORIES, "post")  # whose load takes the same lock
    imports([liked("p1", 4, minute=3)])
    command.join()
    assert sent == [5]
    assert versions()[P1] == [1, 2, 3, 4, 5]


# Other tests have theirs on the same server.
SESSIONS = "FROM pg_stat_activity WHERE datname = current_database()"


def waiting_for_a_lock() -> int:
    return asked(f"SELECT count(*) {SESSIONS} AND wait_event_type = 'Lock'")


def asked(sql: str) -> int:
    """By a connection of its own, whatever transaction this thread has open."""
    settings = connections["default"].settings_dict
    names = {"host": "HOST", "port": "PORT", "user": "USER", "dbname": "NAME"}
    connection = psycopg2.connect(**{ours: settings[name] for ours, name in names.items()})
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"{sql} AND datname = current_database()")
            found: int = cursor.fetchone()[0]
            return found
    finally:
        connection.close()


def test_an_import_that_was_killed_has_stored_nothing_and_can_be_repeated(
    postgresql: Mode, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    names = [str(uuid4()) for _ in range(2 * reading.LINES_AT_ONCE + 500)]
    text = b"".join(map(created, names))
    written = "state = 'idle in transaction' AND query LIKE 'COPY messaging_outbox%'"
    with Worker(postgresql.env, "importevents", str(pipe)) as worker, pipe.open("wb") as end:
        end.write(text)
        end.flush()
        wait_until(
            lambda: asked(f"SELECT count(*) {SESSIONS} AND {written}"),
            "a chunk is written", 60,
        )  # fmt: skip
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.wait()
    wait_until(lambda: not asked(f"SELECT count(*) {SESSIONS} AND {written}"), "it is gone")
    assert (Event.objects.count(), Stream.objects.count(), Outbox.objects.count()) == (0, 0, 0)
    assert imports(text.splitlines()).events == len(names)


@pytest.mark.usefixtures("chunks")
def test_inline_projections_show_what_was_imported_when_it_is_stored(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with one_database():
        make_inline(monkeypatch, posts)
        imports(HISTORY[:2])
        imports(HISTORY)
        assert_read_models_equal_the_fold()
        assert sorted(Post.objects.values_list("version", flat=True)) == [2, 3]


def test_commands_on_other_streams_go_on_during_an_import_into_an_empty_store(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def post() -> int:
        with connections["default"].cursor() as cursor:
            cursor.execute("SET lock_timeout = '10s'")
        return mediator.send(NewPost(message="a"), Context(actor="carol")).version

    sent: list[object] = []
    with one_database():
        make_inline(monkeypatch, posts)
        import_events(HISTORY, lambda _: sent.extend(together(post)))
        assert sent == [1]
        assert_read_models_equal_the_fold()


def test_a_machine_that_acted_gets_no_account(sqlite: Mode) -> None:
    with postlog(MACHINE_ACTORS=["nightly-job"]):
        imports([created("p1"), liked("p1", 2, by="nightly-job")])
    assert not get_user_model().objects.filter(username="nightly-job").exists()


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"".join(HISTORY))
    return path


def test_a_dry_run_says_what_would_be_stored_and_stores_nothing(database: Mode, file: Path) -> None:
    before = stored()
    done = here("importevents", "--dry-run", str(file))
    assert done.returncode == 0, done.stderr
    assert "5 events would be stored, and 2 streams begun." in done.stdout
    assert stored() == before
    assert not OperatorAction.objects.exists()


def test_an_import_is_recorded_and_says_what_it_did(sqlite: Mode, file: Path) -> None:
    packed = file.with_suffix(".gz")
    packed.write_bytes(gzip.compress(file.read_bytes()))
    said = here("importevents", str(packed)).stdout
    assert "5 events are stored, and 2 streams begun." in said
    assert "5 events were stored before." in here("importevents", str(file)).stdout
    actions = OperatorAction.objects.order_by("id").values_list("action", "detail")
    assert list(actions) == [("importevents", str(packed)), ("importevents", str(file))]


def test_a_refusal_names_lines_and_reasons_and_its_exit_code_is_1(sqlite: Mode, file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"no\n")
    done = manage(sqlite.env, "importevents", str(file))
    assert done.returncode == 1
    assert "Line 7: " in done.stderr
    assert "1 line is wrong: nothing is stored." in done.stderr
    assert "Traceback" not in done.stderr
    assert Event.objects.count() == 0


def test_a_damaged_archive_stores_nothing(sqlite: Mode, file: Path, tmp_path: Path) -> None:
    packed = tmp_path / "damaged.jsonl.gz"
    packed.write_bytes(gzip.compress(file.read_bytes())[:-20])
    with pytest.raises(CommandError, match="Nothing is stored"):
        call_command("importevents", str(packed))
    assert Event.objects.count() == 0


def test_a_file_that_is_not_there_is_wrong_usage(sqlite: Mode) -> None:
    with pytest.raises(CommandError) as error:
        call_command("importevents", "nowhere.jsonl")
    assert error.value.returncode == 2


def slugged(raw: bytes, **changes: dict[str, str]) -> bytes:
    return json.dumps({**json.loads(raw), **changes}).encode()


def reserve(slug: str, post_id: UUID) -> None:
    with unit_of_work(Context(actor="alice")) as uow:
        uow.reserve("slug", slug, post_id)


@pytest.mark.usefixtures("chunks")
def test_what_lines_reserve_is_theirs_as_if_handlers_had_reserved_it(database: Mode) -> None:
    history = [
        slugged(created("p1"), reserves={"slug": "tea"}),
        slugged(liked("p1", 2), releases={"slug": "tea"}, reserves={"slug": "milk"}),
        slugged(
            created("p2", minute=0), reserves={"slug": "tea"}
        ),  # earlier, and later in the file
        slugged(liked("p2", 2, minute=6), reserves={"slug": "tea"}),
    ]
    done = imports(history)
    assert (done.events, done.begun, done.reserved) == (4, 2, 3)
    for slug, holder, other in (("tea", P2, P1), ("milk", P1, P2)):
        reserve(slug, holder)
        with pytest.raises(AlreadyReserved):
            reserve(slug, other)
    done = imports(history)
    assert (done.events, done.reserved, done.repeats) == (0, 0, 4)
    publish_all()
    verified = here("verify", "--patience", "0")
    assert verified.returncode == 1, "the read models are to come"
    assert "posts" in verified.stdout
    for one in PROJECTIONS.values():
        assert consume_all(one) == {}
    assert here("verify").returncode == 0


TAKES = slugged(created("p1"), reserves={"slug": "tea"})
VALUES: dict[str, tuple[list[bytes], str]] = {
    "of a stream of the store": (
        [slugged(created("p1"), reserves={"slug": "old"})], "the slug 'old' is taken: stream ",
    ),
    "of another stream of the file": (
        [TAKES, slugged(created("p2"), reserves={"slug": "tea"})], f"is taken: stream {P1} has it",
    ),
    "released by who has it not": (
        [slugged(created("p1"), releases={"slug": "old"})], "'old' is not reserved for",
    ),
    "released and never reserved": (
        [slugged(created("p1"), releases={"slug": "tea"})], "'tea' is not reserved for",
    ),
    "no word": ([slugged(created("p1"), reserves={"the slug": "tea"})], "no kind of value"),
    "nothing that is seen": ([slugged(created("p1"), reserves={"slug": " "})], "1 to 200 char"),
    "added to what was imported without": (
        [created("p1"), slugged(created("p1"), reserves={"slug": "tea"})], "another event already",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize(("lines", "why"), VALUES.values(), ids=VALUES.keys())
def test_a_value_that_cannot_be_reserved_is_refused_with_all_lines(
    database: Mode, lines: list[bytes], why: str
) -> None:
    mediator.send(NewPost(message="first"), Context(actor="carol"))
    reserve("old", Stream.objects.get().pk)
    before = stored()
    [(number, said)] = faults(*lines)
    assert (number, why in said) == (len(lines), True), said
    assert stored() == before


@pytest.mark.usefixtures("chunks")
def test_who_has_a_value_behind_a_wrong_line_is_no_fault(sqlite: Mode) -> None:
    wrong = slugged(liked("p1", 4), releases={"slug": "tea"})
    after = slugged(created("p2", minute=5), reserves={"slug": "tea"})
    assert [number for number, _ in faults(TAKES, wrong, after)] == [2]
    unreadable = slugged(liked("p1", 2), releases={"slug": "tea"}).replace(b"username", b"name")
    assert [number for number, _ in faults(TAKES, unreadable, after)] == [2]
    twice = slugged(created("p3", minute=6), reserves={"slug": "tea"})
    released = slugged(liked("p2", 2, minute=7), releases={"slug": "tea"})
    assert [number for number, _ in faults(TAKES, after, twice, released)] == [2]


def test_who_wants_a_value_during_its_import_waits_and_finds_it_taken(postgresql: Mode) -> None:
    results: list[object] = []
    command = Thread(target=lambda: results.extend(together(lambda: reserve("tea", P2))))

    def meanwhile(_: int) -> None:
        command.start()
        wait_until(lambda: waiting_for_a_lock() == 1, "the command waits for the value")

    assert import_events([TAKES], meanwhile).reserved == 1
    command.join()
    assert isinstance(results[0], ConcurrencyError), "and is carried out again"
    with pytest.raises(AlreadyReserved):
        reserve("tea", P2)
