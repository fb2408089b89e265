"""A command that freezes inside a transaction: `python -m tests.support.freezing SQL COMMAND ...`.

It stops itself (SIGSTOP) behind the first statement that contains SQL, and stays stopped until
somebody sends SIGCONT; then it goes on as if nothing had been.
"""

import os
import signal
import sys
from typing import Any

from django.core.management import execute_from_command_line
from django.db.backends.signals import connection_created


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
