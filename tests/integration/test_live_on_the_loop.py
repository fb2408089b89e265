"""`/health/live` is answered by the event loop, as a thread would answer it."""

import subprocess
import sys

import pytest

from tests.support.processes import ROOT, environment

ASK_BOTH = """
import sys
from config.asgi import application
from tests.support.asgi import LIMIT, Site, scope
from web.buffering import Buffered

asked = scope(raw_path=b"/health/live", method=sys.argv[1], headers=[(b"host", b"10.1.2.3")])
by_loop, by_thread = Site(), Site()
by_loop.buffered = application
by_thread.buffered = Buffered(application._application, threads=1, max_body=LIMIT)
answer = by_loop.ask(asked)
print(answer[0]["status"], answer[1]["body"].decode())
print(answer == by_thread.ask(asked), application._threads._started)
"""


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_whether_the_process_lives_is_answered_by_the_loop_as_by_a_thread(method: str) -> None:
    """In a process of its own: config.asgi sets what is of its process (umask, timeouts)."""
    done = subprocess.run(
        [sys.executable, "-c", ASK_BOTH, method],
        cwd=ROOT,
        env=environment({"DJANGO_SETTINGS_MODULE": "config.settings", "DEBUG": "on"}),
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ['200 {"status": "ok"}', "True False"], done.stderr
