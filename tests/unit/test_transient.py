"""Which errors mean that a server is away for a while."""

import pytest
from django.db import (
    DatabaseError,
    DataError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)

from messaging.exceptions import BusError, HistoryMismatch
from messaging.management.commands.sendcommands import failure
from messaging.transient import described, is_away, is_beyond_limits, is_unmigrated, reason


class FromPsycopg2(Exception):
    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.pgcode = state


class FromPsycopg3(Exception):
    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.sqlstate = state


def django_error(kind: type[Exception], cause: Exception | None) -> Exception:
    error = kind("a message\nand more")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("driver", [FromPsycopg2, FromPsycopg3])
@pytest.mark.parametrize("state", ["25006", "25P03", "53300", "57P01", "55P03", "08006", "57014"])
def test_states_that_pass_are_away_whatever_their_class(driver: type, state: str) -> None:
    assert is_away(django_error(InternalError, driver(state)))


@pytest.mark.parametrize("driver", [FromPsycopg2, FromPsycopg3])
@pytest.mark.parametrize("state", ["25P02", "22003", "23505", "XX000"])
def test_states_that_stay_are_not(driver: type, state: str) -> None:
    assert not is_away(django_error(InternalError, driver(state)))


@pytest.mark.parametrize("driver", [FromPsycopg2, FromPsycopg3])
def test_a_limit_of_the_server_is_waited_for_where_it_is_not_known_whose_it_is(
    driver: type,
) -> None:
    """It refuses every write, in these words, until it is vacuumed."""
    error = django_error(OperationalError, driver("54000"))
    assert is_away(error)
    assert is_beyond_limits(error), "which says more where a batch is written"


def test_a_connection_that_is_lost_is_away() -> None:
    assert is_away(OperationalError("server closed the connection unexpectedly"))
    assert is_away(InterfaceError("connection already closed"))
    assert is_away(BusError("nobody answers"))
    # psycopg2, of an answer that broke off in its middle
    assert is_away(django_error(DatabaseError, Exception("no message from the libpq")))


def test_other_errors_are_not() -> None:
    for error in (
        DatabaseError("Save did not affect any rows"),
        DataError(),
        HistoryMismatch(),
        ValueError(),
    ):
        assert not is_away(error)


def test_the_reason_is_one_line_and_says_where_to_ask() -> None:
    assert reason(OperationalError("no route\nto host")) == "no route"
    read_only = django_error(InternalError, FromPsycopg2("25006"))
    assert "Ask on the primary" in reason(read_only)


@pytest.mark.parametrize(
    "said",
    [
        "no such table: orders_order",
        "no such column: orders_order.pieces",
        "table orders_order has no column named pieces",
    ],
)
def test_a_migration_that_is_missing_on_sqlite_is_not_a_server_away(said: str) -> None:
    error = OperationalError(said)
    assert is_unmigrated(error)
    assert not is_away(error)
    assert reason(error).startswith(f"{said}. Run `manage.py migrate`")
    assert is_away(OperationalError("database is locked"))


@pytest.mark.parametrize("state", ["42P01", "42703"])
def test_a_migration_that_is_missing_on_postgresql_is_named(state: str) -> None:
    error = django_error(ProgrammingError, FromPsycopg3(state))
    assert is_unmigrated(error)
    assert "`manage.py migrate`" in reason(error)


def test_an_error_is_described_by_what_to_do_or_by_its_class() -> None:
    missing = OperationalError("no such table: orders_order")
    assert described(missing).startswith("no such table: orders_order. Run `manage.py migrate`")
    assert described(OperationalError("no route\nto host")) == "no route"
    assert described(DataError("too long")) == "DataError: too long"
    told = failure(missing, "commands.jsonl", 3)
    assert told is not None
    assert "manage.py migrate" in told
    assert "3 lines were sent. Send the file again" in told
