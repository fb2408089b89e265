"""Let the clean-up of a test run empty the event store, and nothing else.

After each TransactionTestCase, Django empties all tables by `flush`. The triggers refuse that,
as they refuse `manage.py flush` on a database that is in use.
"""

from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from messaging.eventstore.triggers import TABLE, create_triggers, drop_triggers


def lift_triggers_for_tests(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Wrap the flush of a new connection, once (a receiver of `connection_created`)."""
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
        # In one transaction: if the flush fails, or the process dies, the triggers stay.
        with transaction.atomic(using=self._connection.alias):
            drop_triggers(self._connection)
            self._flush(sql_list)
            create_triggers(self._connection)


def _is_test_run() -> bool:
    """Tell whether a test runner, Django's or pytest-django's, has prepared this process."""
    from django.test.utils import _TestState

    return hasattr(_TestState, "saved_data")
