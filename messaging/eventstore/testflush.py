"""Lets the clean-up of a test run empty the event store, and nothing else.

Django empties all tables after each TransactionTestCase, by `flush`; the triggers refuse that,
as they refuse `manage.py flush` on a database that is in use.
"""

from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from messaging.eventstore.triggers import TABLE, create_triggers, drop_triggers


def lift_triggers_for_tests(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """A receiver of `connection_created`: wrap the connection's flush, once."""
    operations: Any = connection.ops
    if "execute_sql_flush" not in vars(operations):
        operations.execute_sql_flush = _Flush(connection)


class _Flush:
    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._flush: Any = connection.ops.execute_sql_flush

    def __call__(self, sql_list: list[str]) -> None:
        if not any(TABLE in sql for sql in sql_list) or not _is_test_run():
            self._flush(sql_list)
            return
        # In one transaction: if the flush fails, or the process dies, the triggers are there.
        with transaction.atomic(using=self._connection.alias):
            drop_triggers(self._connection)
            self._flush(sql_list)
            create_triggers(self._connection)


def _is_test_run() -> bool:
    """Whether a test runner has prepared this process: Django's, or pytest-django's."""
    from django.test.utils import _TestState

    return hasattr(_TestState, "saved_data")
