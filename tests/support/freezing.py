"""A command that freezes inside a transaction: `python -m tests.support.freezing SQL COMMAND ...`.

It stops itself (SIGSTOP) behind the first statement that contains SQL, and stays stopped until
somebody sends SIGCONT; then it goes on as if nothing had been.
"""

import os
import signal
import sqlite3
import sys
from contextlib import closing
from typing import Any

from django.core.management import execute_from_command_line
from django.db import connections
from django.db.backends.signals import connection_created

from messaging.testing.waiting import wait_until
from tests.support.modes import ALIASES
from tests.support.processes import Worker


def freeze_between_writes(worker: Worker) -> None:
    """Freeze it where it holds no lock of a SQLite file: nobody else could write to that one."""

    def is_frozen() -> bool:
        worker.freeze()
        wait_until(worker.is_frozen, "it has stopped")
        if all(can_be_written(alias) for alias in ALIASES):
            return True
        worker.thaw()
        return False

    wait_until(is_frozen, "it is frozen between two writes")


def can_be_written(alias: str) -> bool:
    settings = connections.settings[alias]
    if "sqlite" not in settings["ENGINE"]:
        return True
    with closing(sqlite3.connect(settings["NAME"], timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


def freeze_behind(sql: str, command: list[str]) -> None:
    frozen = False

    def freeze(execute: Any, statement: str, params: Any, many: Any, context: Any) -> Any:
        nonlocal frozen
        answer = execute(statement, params, many, context)
        if sql in statement and not frozen:
            frozen = True
            os.kill(os.getpid(), signal.SIGSTOP)
        return answer

    def watch(connection: Any, **kwargs: Any) -> None:
        connection.execute_wrappers.append(freeze)

    connection_created.connect(watch, weak=False)
    execute_from_command_line(["manage.py", *command])


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    freeze_behind(sys.argv[1], sys.argv[2:])
