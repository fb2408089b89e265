"""A command's transaction: in few round trips, and a transaction as any other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import Mock
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from django.db.transaction import TransactionManagementError

from commands_app.commands import LikePost, NewPost
from commands_app.handlers import like_post, posts
from contracts.posts import MessageUpdated, PostCreated
from messaging import mediator
from messaging.eventstore.models import Event, Stream
from messaging.eventstore.round_trips import execute
from messaging.eventstore.statements import BEGIN_STREAM
from messaging.eventstore.unit_of_work import Appended, UnitOfWork, unit_of_work
from messaging.exceptions import ConcurrencyError, Forbidden
from messaging.message import Context
from tests.support.modes import Mode, use

ALICE, BOB = Context(actor="alice"), Context(actor="bob")


@pytest.fixture
def post_id(database: Mode) -> UUID:
    post_id = mediator.send(NewPost(message="first"), ALICE).stream_id
    mediator.send(LikePost(post_id=post_id), ALICE)  # the plans are kept from now on
    return post_id


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch, post_id: UUID) -> Callable[..., None]:
    """Send a like whose handler does something before, or after it has saved."""

    def sent(before: Any = None, after: Any = None) -> None:
        def handler(command: LikePost, uow: UnitOfWork) -> Appended:
            if before is not None:
                before()
            appended = like_post(command, uow)
            if after is not None:
                after()
            return appended

        monkeypatch.setitem(mediator._command_handlers, LikePost, handler)
        mediator.send(LikePost(post_id=post_id), BOB)

    return sent


def versions(post_id: UUID) -> list[int]:
    found = Event.objects.filter(stream_id=post_id).order_by("position")
    return list(found.values_list("version", flat=True))


def is_user(name: str) -> bool:
    return get_user_model().objects.filter(username=name).exists()


def create_user() -> None:
    get_user_model().objects.create(username="made-by-the-handler")


def statements_of(command: Callable[[], object]) -> list[str]:
    found = []

    def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        command()
    return found


@pytest.mark.parametrize(("key", "most"), [(None, 2), (uuid4(), 3)])
def test_begin_goes_with_the_first_statement_and_what_is_written_with_commit(
    postgresql: Mode, key: UUID | None, most: int
) -> None:
    def command() -> object:
        return mediator.send(
            NewPost(message="Hi", post_id=uuid4()), Context(actor="bob", command_id=key)
        )

    mediator.send(NewPost(message="Hi", post_id=uuid4()), Context(actor="bob", command_id=uuid4()))
    sent = statements_of(command)
    assert len(sent) == most, sent
    assert sent[0].startswith("BEGIN;EXECUTE postlog_")
    assert sent[-1].endswith(";COMMIT")


def test_the_driver_sends_no_begin_of_its_own(postgresql: Mode) -> None:
    with unit_of_work(ALICE) as uow:
        posts.load(uow, uuid4())
        assert connection.connection.autocommit
    assert mediator.send(NewPost(message="Hi"), ALICE).created
    if (notices := getattr(connection.connection, "notices", None)) is not None:  # of psycopg 2
        assert notices == [], "a BEGIN within a transaction is a warning"


def test_a_command_that_changes_nothing_ends_its_transaction(post_id: UUID) -> None:
    mediator.send(LikePost(post_id=post_id), ALICE)
    assert not is_in_transaction()
    mediator.send(LikePost(post_id=post_id), BOB)
    assert versions(post_id) == [1, 2, 3]


def is_in_transaction() -> bool:
    driver = connection.connection
    if connection.vendor == "postgresql":
        return bool(driver.info.transaction_status)
    return bool(driver.in_transaction)


def test_a_handler_reads_what_it_has_saved(post_id: UUID, during: Any) -> None:
    found: list[int] = []
    during(after=lambda: found.append(posts.version_of(post_id)))
    assert found == [3]
    during(after=lambda: found.append(len(versions(post_id))))


def test_what_a_handler_wrote_first_is_stored_with_its_events_or_not_at_all(
    post_id: UUID, during: Any
) -> None:
    def refuse() -> None:
        raise Forbidden("not_now", "Not now.")

    with pytest.raises(Forbidden):
        during(before=create_user, after=refuse)
    assert (is_user("made-by-the-handler"), versions(post_id)) == (False, [1, 2])
    during(before=create_user)
    assert (is_user("made-by-the-handler"), versions(post_id)) == (True, [1, 2, 3])


def test_an_error_after_the_load_leaves_no_transaction_open(post_id: UUID) -> None:
    def save_and_fail() -> None:
        edited = MessageUpdated(post_id=post_id, message="b")
        with unit_of_work(ALICE) as uow:
            posts.save(uow, posts.load(uow, post_id), [edited])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        save_and_fail()
    assert not is_in_transaction()
    assert versions(post_id) == [1, 2]


def test_an_interrupt_before_the_rollback_leaves_no_transaction_open(
    postgresql: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = Mock(side_effect=[KeyboardInterrupt, None])
    interrupted = Mock(__enter__=once, __exit__=Mock(return_value=False))

    def load_and_fail() -> None:
        with monkeypatch.context() as patch, unit_of_work(ALICE) as uow:
            posts.load(uow, uuid4())
            patch.setattr(connection, "wrap_database_errors", interrupted)
            raise RuntimeError

    with pytest.raises(KeyboardInterrupt):
        load_and_fail()
    create_user()
    assert not is_in_transaction()


def test_what_is_saved_inside_a_savepoint_is_dropped_with_it(post_id: UUID) -> None:
    with unit_of_work(ALICE) as uow:
        posts.load(uow, post_id)
        with suppress(RuntimeError), transaction.atomic():
            uow.append("post", post_id, 2, [MessageUpdated(post_id=post_id, message="b")])
            raise RuntimeError
    assert versions(post_id) == [1, 2]
    with unit_of_work(ALICE) as uow, transaction.atomic():
        uow.append("post", post_id, 2, [MessageUpdated(post_id=post_id, message="b")])
    assert versions(post_id) == [1, 2, 3]


def test_a_transaction_that_a_block_within_has_broken_stores_nothing(post_id: UUID) -> None:
    def save_all_the_same() -> None:
        with unit_of_work(ALICE) as uow:
            posts.load(uow, post_id)
            with suppress(RuntimeError), transaction.atomic(savepoint=False):
                raise RuntimeError
            uow.append("post", post_id, 2, [MessageUpdated(post_id=post_id, message="b")])

    with pytest.raises(TransactionManagementError):
        save_all_the_same()
    assert not is_in_transaction()
    assert versions(post_id) == [1, 2]


def test_a_transaction_that_is_broken_with_nothing_to_write_is_ended(post_id: UUID) -> None:
    def break_it() -> None:
        with unit_of_work(ALICE) as uow:
            posts.load(uow, post_id)
            with suppress(RuntimeError), transaction.atomic(savepoint=False):
                raise RuntimeError

    with pytest.raises(TransactionManagementError):
        break_it()
    assert not is_in_transaction()


def test_a_lost_race_counts_although_the_handler_has_caught_it(post_id: UUID) -> None:
    """The savepoint of the block is what sends the events, so its `except` catches their error."""
    new = uuid4()

    def begin_both() -> None:
        with unit_of_work(ALICE) as uow:
            for one in (new, post_id):  # of which one is there
                uow.append("post", one, 0, [PostCreated(post_id=one, author="a", message="b")])
            with suppress(IntegrityError), transaction.atomic():
                create_user()

    with pytest.raises(ConcurrencyError):
        begin_both()
    assert (versions(new), versions(post_id)) == ([], [1, 2])
    assert not is_in_transaction()


def test_what_cannot_be_committed_is_an_error_although_the_handler_has_caught_its_cause(
    post_id: UUID, during: Any
) -> None:
    def read_and_break() -> None:
        assert versions(post_id) == [1, 2, 3]
        with suppress(RuntimeError), transaction.atomic(savepoint=False):
            raise RuntimeError

    def read_and_close() -> None:
        assert versions(post_id) == [1, 2, 3]
        connection.close()

    for broken_by in (read_and_break, read_and_close):
        with pytest.raises(TransactionManagementError):
            during(after=broken_by)
        assert versions(post_id) == [1, 2]


@pytest.mark.parametrize("fails_first", [True, False])
def test_an_error_of_the_handlers_own_statement_is_not_committed(
    postgresql: Mode, fails_first: bool
) -> None:
    """PostgreSQL answers ROLLBACK to the COMMIT that follows, which is no error to the driver."""
    post_id = mediator.send(NewPost(message="first"), ALICE).stream_id

    def fail() -> None:
        with suppress(DatabaseError):
            Event.objects.extra(where=["no_such_column = 1"]).count()

    def save_and_fail() -> None:
        with unit_of_work(ALICE) as uow:
            if fails_first:
                fail()
            uow.append("post", post_id, 1, [MessageUpdated(post_id=post_id, message="b")])
            if not fails_first:
                fail()

    with pytest.raises(DatabaseError):
        save_and_fail()
    assert versions(post_id) == [1]


def test_what_a_failed_savepoint_has_saved_is_not_sent(post_id: UUID, during: Any) -> None:
    """Else the lost race of what is dropped would break what is not."""

    def save_and_fail() -> None:
        with suppress(RuntimeError), transaction.atomic(), unsaved() as uow:
            created = PostCreated(post_id=post_id, author="a", message="b")
            uow.append("post", post_id, 0, [created])
            raise RuntimeError

    during(after=save_and_fail)
    assert versions(post_id) == [1, 2, 3]


@contextmanager
def unsaved() -> Iterator[UnitOfWork]:
    yield UnitOfWork(ALICE)


def test_nothing_is_written_without_a_transaction_if_its_begin_was_not_sent(
    postgresql: Mode,
) -> None:
    """The driver refuses the text that BEGIN goes with. Whoever catches that writes nothing."""

    def go_on() -> None:
        with unit_of_work(ALICE):
            values = [uuid4(), "a\0b", 1]
            execute(connections["default"], [(BEGIN_STREAM, values)])
            with suppress(DatabaseError, ValueError):
                versions(uuid4())
            create_user()

    with pytest.raises((DatabaseError, ValueError)):
        go_on()
    assert not is_user("made-by-the-handler")


def test_what_waits_for_the_commit_is_done_behind_it(post_id: UUID, during: Any) -> None:
    found: list[bool] = []
    during(before=lambda: transaction.on_commit(lambda: found.append(is_in_transaction())))
    assert found == [False]


def test_rows_are_read_in_portions_by_a_handler(post_id: UUID, during: Any) -> None:
    """By a cursor on the server, which needs a transaction."""
    found: list[int] = []
    during(before=lambda: found.extend(one.version for one in Stream.objects.iterator(1)))
    during(after=lambda: found.extend(one.version for one in Stream.objects.iterator(1)))
    assert found == [2, 3]


def test_the_isolation_level_of_the_settings_holds(postgresql: Mode) -> None:
    level = IsolationLevel.SERIALIZABLE
    config = connections.settings["default"]
    use({"default": {**config, "OPTIONS": {**config["OPTIONS"], "isolation_level": level}}})
    try:
        post_id = mediator.send(NewPost(message="first"), ALICE).stream_id
        with unit_of_work(ALICE) as uow, connection.cursor() as cursor:
            posts.load(uow, post_id)
            cursor.execute("SHOW transaction_isolation")
            assert cursor.fetchone()[0] == "serializable"
    finally:
        use({"default": config})


def test_a_session_that_ended_in_a_transaction_is_replaced(postgresql: Mode) -> None:
    post_id = mediator.send(NewPost(message="first"), ALICE).stream_id

    def end_it() -> None:
        with unit_of_work(ALICE) as uow, connection.cursor() as cursor:
            posts.load(uow, post_id)
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(DatabaseError):
        end_it()
    assert mediator.send(LikePost(post_id=post_id), BOB).version == 2
