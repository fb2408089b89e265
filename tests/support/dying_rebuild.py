"""A rebuild that dies at a step: `python -m tests.support.dying_rebuild STEP SOURCE`."""

import os
import signal
import sys

import django


def rebuild_and_die(step: str, source: str) -> None:
    django.setup()
    from messaging.rebuilding import from_log
    from queries_app.projections import posts
    from tests.support.rebuilding import at_step, rebuild

    from_log.BATCH = 20  # so that it reads in windows, however little there is
    with at_step(step, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        rebuild(posts, source)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    rebuild_and_die(sys.argv[1], sys.argv[2])
