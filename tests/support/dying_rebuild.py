"""Rebuilds that die, one after the other: `python -m tests.support.dying_rebuild SOURCE STEP...`.
Prints how each ended."""

import os
import signal
import sys
from functools import partial

import django

from tests.support.dying import ending


def rebuild_and_die(source: str, step: str) -> None:
    from messaging.rebuilding import from_log
    from queries_app.projections import posts
    from tests.support.rebuilding import at_step, rebuild

    from_log.BATCH = 20  # so that it reads in windows, however little there is
    with at_step(step, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        rebuild(posts, source)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    import tests.support.rebuilding  # noqa: F401  before the first fork, so once

    print(*[ending(partial(rebuild_and_die, sys.argv[1], one)) for one in sys.argv[2:]])  # noqa: T201
