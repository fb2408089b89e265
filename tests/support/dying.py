"""A command whose process dies in its middle: `python -m tests.support.dying POST COMMAND AT`."""

import os
import signal
import sys
from typing import Any
from uuid import UUID

import django


def send_and_die(post_id: UUID, command_id: UUID, at: int) -> None:
    """Send a like; die before statement number `at`, counting BEGIN and COMMIT."""
    django.setup()
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
        mediator.send(LikePost(post_id=post_id), Context(actor="bob", command_id=command_id))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    send_and_die(UUID(sys.argv[1]), UUID(sys.argv[2]), int(sys.argv[3]))
