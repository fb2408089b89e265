"""The event store and the mediator, on both databases: the suite of the testing kit, and what is
about commands, and about SQL."""

from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from commands_app.commands import AddComment, DeletePost, EditMessage, LikePost, NewPost
from commands_app.handlers import posts
from contracts.posts import MessageUpdated, PostCreated
from messaging import checks, mediator
from messaging.eventstore import triggers
from messaging.eventstore.models import Event, Outbox, Receipt, Stream
from messaging.eventstore.unit_of_work import Appended, UnitOfWork, unit_of_work
from messaging.exceptions import (
    ConcurrencyError,
    ConcurrentChange,
    Forbidden,
    NoTransaction,
    WithinTransaction,
)
from messaging.message import Context, Result
from messaging.testing.store_contract import StoreContract
from tests.support.modes import Mode
from tests.support.threads import together

ALICE, BOB = Context(actor="alice"), Context(actor="bob")


@pytest.fixture
def post_id(database: Mode) -> Any:
    return mediator.send(NewPost(message="first"), ALICE).stream_id


def versions(post_id: Any) -> list[int]:
    found = Event.objects.filter(stream_id=post_id).order_by("position")
    return list(found.values_list("version", flat=True))


class TestStore(StoreContract):
    @pytest.fixture(autouse=True)
    def on_each_database(self, database: Mode) -> None: ...


def test_what_is_appended_is_loaded(post_id: Any) -> None:
    mediator.send(EditMessage(post_id=post_id, message="second"), ALICE)
    result = mediator.send(LikePost(post_id=post_id), BOB)
    assert (result.version, result.ids, result.created) == (3, {"post_id": post_id}, False)

    with unit_of_work(ALICE) as uow:
        found = posts.load(uow, post_id)
        assert found.state is not None
        assert (found.version, found.state.message) == (3, "second")
        assert dict(found.state.likers.items()) == {"bob": ""}
        assert posts.save(uow, found, []).version == 3
    assert Stream.objects.get().version == 3
    assert Outbox.objects.count() == Event.objects.count() == 3


def test_the_traceback_of_a_broken_handler_names_the_command(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(command: NewPost, unit: UnitOfWork) -> Result:
        raise KeyError("broken")

    monkeypatch.setitem(mediator._command_handlers, NewPost, broken)
    command_id = uuid4()
    with pytest.raises(KeyError) as caught:
        mediator.send(NewPost(message="first"), Context(actor="alice", command_id=command_id))
    assert caught.value.__notes__ == [f"While handling NewPost (command {command_id})."]


def test_a_command_that_changes_nothing_stores_nothing(post_id: Any) -> None:
    result = mediator.send(EditMessage(post_id=post_id, message="first"), ALICE)
    assert (result.version, result.ids, result.created) == (1, {"post_id": post_id}, False)
    assert versions(post_id) == [1]


def test_a_writer_that_waited_for_its_turn_decides_on_what_is_there_now(post_id: Any) -> None:
    """On PostgreSQL a statement's snapshot is older than the row that it waited to lock."""
    for number in range(10):
        fan = Context(actor=f"fan{number}")
        results = together(*[lambda c=fan: mediator.send(LikePost(post_id=post_id), c)] * 4)  # type: ignore[misc]
        assert {result.version for result in results} == {number + 2}, results
    assert versions(post_id) == list(range(1, 12)), "one like a person"


def test_of_two_posts_with_one_id_one_is_made(database: Mode) -> None:
    post_id = uuid4()
    results = together(
        *(
            lambda name=name: mediator.send(
                NewPost(post_id=post_id, message="Hi"), Context(actor=name)
            )
            for name in ("alice", "bob")
        )  # type: ignore[misc]
    )
    codes = [getattr(result, "code", "made") for result in results]
    assert sorted(codes) == ["made", "post_exists"]
    assert versions(post_id) == [1]


def test_a_race_that_is_always_lost_ends_as_concurrent_change(
    post_id: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def lose(command: Any, uow: UnitOfWork) -> Appended:
        attempts.append(1)
        return uow.append("post", post_id, 0, [MessageUpdated(post_id=post_id, message="b")])

    monkeypatch.setitem(mediator._command_handlers, LikePost, lose)
    with pytest.raises(ConcurrentChange):
        mediator.send(LikePost(post_id=post_id), ALICE)
    assert len(attempts) == mediator.ATTEMPTS
    assert versions(post_id) == [1]


def test_a_race_that_is_lost_once_is_run_again(
    post_id: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, attempts = mediator.handler_of(LikePost), []

    def lose_first(command: Any, uow: UnitOfWork) -> Appended:
        attempts.append(1)
        if len(attempts) == 1:
            uow.append("post", post_id, 0, [MessageUpdated(post_id=post_id, message="b")])
        return real(command, uow)

    monkeypatch.setitem(mediator._command_handlers, LikePost, lose_first)
    assert mediator.send(LikePost(post_id=post_id), BOB).version == 2
    assert len(attempts) == 2
    assert versions(post_id) == [1, 2]


def test_a_version_that_others_took_meanwhile_is_a_lost_race(post_id: Any) -> None:
    def append_twice() -> None:
        edit = MessageUpdated(post_id=post_id, message="b")
        with unit_of_work(ALICE) as uow:
            uow.append("post", post_id, 1, [edit])
            uow.append("post", post_id, 1, [edit])

    with pytest.raises(ConcurrencyError):
        append_twice()
    assert versions(post_id) == [1]


@pytest.mark.parametrize(
    "sql",
    ["UPDATE messaging_event SET actor = 'x'", "DELETE FROM messaging_event"],
)
def test_the_database_refuses_to_change_events(post_id: Any, sql: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute(sql)
    assert versions(post_id) == [1]


def test_postgresql_refuses_to_truncate_events(postgresql: Mode) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute("TRUNCATE messaging_event")


def test_a_missing_trigger_is_found_by_the_check(database: Mode) -> None:
    def found() -> list[str]:
        return [str(error.id) for error in checks.event_store_is_append_only(databases=["default"])]

    assert found() == []
    triggers.drop_triggers(connection)
    assert set(found()) == {"postlog.E003"}


@pytest.mark.parametrize("action", ["update", "delete"])
def test_each_trigger_is_missed(database: Mode, action: str) -> None:
    on_table = " ON messaging_event" if connection.vendor == "postgresql" else ""
    connection.cursor().execute(f"DROP TRIGGER events_refuse_{action}{on_table}")
    (error,) = checks.event_store_is_append_only(databases=["default"])
    assert (error.id, f"events_refuse_{action}" in error.msg) == ("postlog.E003", True)


def test_a_trigger_that_is_switched_off_is_missed(postgresql: Mode) -> None:
    connection.cursor().execute("ALTER TABLE messaging_event DISABLE TRIGGER ALL")
    found = checks.event_store_is_append_only(databases=["default"])
    assert [error.id for error in found] == ["postlog.E003"] * 3


def test_two_urls_of_one_database_are_found_by_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.databases_are_there() == []
    monkeypatch.setitem(settings.DATABASES, "read", settings.DATABASES["default"])
    assert [error.id for error in checks.databases_are_there()] == ["postlog.E002"]


def test_the_store_refuses_to_work_outside_a_transaction(post_id: Any) -> None:
    uow = UnitOfWork(ALICE)
    with pytest.raises(NoTransaction):
        posts.load(uow, post_id)
    with pytest.raises(NoTransaction):
        uow.append("post", post_id, 1, [MessageUpdated(post_id=post_id, message="b")])
    other = uuid4()
    with pytest.raises(NoTransaction):
        uow.append("post", other, 0, [PostCreated(post_id=other, author="a", message="b")])
    assert versions(post_id) == [1]


def test_a_command_is_not_sent_inside_a_transaction(post_id: Any) -> None:
    cure = r"non_atomic_requests\(using='default'\); elsewhere"
    with pytest.raises(WithinTransaction, match=cure), transaction.atomic():
        mediator.send(LikePost(post_id=post_id), BOB)
    assert versions(post_id) == [1]


def test_a_command_that_is_sent_again_returns_its_first_result(database: Mode) -> None:
    context = Context(actor="alice", command_id=uuid4())
    first = mediator.send(NewPost(message="Hi"), context)
    mediator.send(EditMessage(post_id=first.stream_id, message="Ho"), ALICE)
    assert mediator.send(NewPost(message="Hi"), context) == first
    assert (Event.objects.count(), Receipt.objects.count()) == (2, 1)


def test_a_refusal_is_remembered_too(post_id: Any) -> None:
    context = Context(actor="bob", command_id=uuid4())
    for _ in range(2):
        with pytest.raises(Forbidden) as refused:
            mediator.send(DeletePost(post_id=post_id), context)
        assert (refused.value.code, refused.value.status) == ("not_author", 403)
    assert Receipt.objects.count() == 1


def test_the_same_id_of_another_actor_is_another_command(post_id: Any) -> None:
    command_id = uuid4()
    for actor in ("bob", "carol"):
        mediator.send(LikePost(post_id=post_id), Context(actor=actor, command_id=command_id))
    assert versions(post_id) == [1, 2, 3]


def test_a_command_that_is_sent_twice_at_once_is_carried_out_once(post_id: Any) -> None:
    context = Context(actor="bob", command_id=uuid4())
    results = together(
        *[lambda: mediator.send(AddComment(post_id=post_id, text="Hi"), context)] * 4
    )
    assert len({str(result) for result in results}) == 1, results
    assert isinstance(results[0], Result)
    assert versions(post_id) == [1, 2]


def test_load_and_append_are_few_statements(post_id: Any) -> None:
    mediator.send(LikePost(post_id=post_id), BOB)  # the plans are kept from now on
    with CaptureQueriesContext(connections["default"]) as captured:
        mediator.send(EditMessage(post_id=post_id, message="second"), ALICE)
    # On SQLite what is one round trip on PostgreSQL is three statements. On PostgreSQL, BEGIN and
    # COMMIT are listed once more, by Django, whose driver has nothing to send then.
    most = 4 if connection.vendor == "postgresql" else 6
    assert len(captured) <= most, [query["sql"][:60] for query in captured]


def test_commands_work_on_when_a_migration_changes_a_column_under_a_kept_plan(
    postgresql: Mode,
) -> None:
    keyed = Context(actor="alice", command_id=uuid4())
    post_id = mediator.send(NewPost(message="first"), keyed).stream_id
    mediator.send(EditMessage(post_id=post_id, message="second"), keyed_anew())
    other = connection.copy()  # a process that migrates
    with other.cursor() as cursor:
        cursor.execute("ALTER TABLE messaging_snapshot ALTER COLUMN state TYPE varchar(99999)")
        cursor.execute("ALTER TABLE messaging_receipt ALTER COLUMN outcome TYPE varchar(99999)")
        cursor.execute("ALTER TABLE messaging_stream ALTER COLUMN version TYPE bigint")
    other.close()
    for number in range(2):
        mediator.send(EditMessage(post_id=post_id, message=str(number)), keyed_anew())
    with pytest.raises(Forbidden):
        mediator.send(EditMessage(post_id=post_id, message="mine"), Context(actor="bob"))
    assert versions(post_id) == [1, 2, 3, 4]


def keyed_anew() -> Context:
    return Context(actor="alice", command_id=uuid4())
