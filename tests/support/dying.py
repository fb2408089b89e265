"""Commands whose processes die in their middle: `python -m tests.support.dying ID...`, the first
of them before its first statement, the next before its second, and so on. Prints how each ended."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import django


def ending(work: Callable[[], object]) -> int:
    """How a process ends that does this: its exit code, or minus the signal. It is forked from this
    one, so that only this one imports everything."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def send_and_die(like: UUID, at: int) -> None:
    """Like the post of this id by a command of this id. BEGIN and COMMIT are statements, too."""
    from django.db import connection

    from commands_app.commands import LikePost
    from messaging import mediator
    from messaging.message import Context

    connection.ensure_connection()
    count = 0

    def die_in_time(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        nonlocal count
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return execute(sql, params, many, context)

    commit = connection._commit

    def commit_or_die() -> Any:
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return commit()

    if connection.vendor == "sqlite":  # PostgreSQL's COMMIT goes with the last statement
        connection._commit = commit_or_die  # which is no statement to Django
    with connection.execute_wrapper(die_in_time):
        mediator.send(LikePost(post_id=like), Context(actor="bob", command_id=like))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    works = [partial(send_and_die, UUID(like), at) for at, like in enumerate(sys.argv[1:])]
    print(*map(ending, works))  # noqa: T201
