"""With which code a process ends that cannot wait for a part of it."""

import signal
import subprocess
import sys

import pytest

from tests.support.processes import ROOT

HANGS = """
import os, threading
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
from messaging.workers import threads
threads.GRACE_S = threads.GRACE_AFTER_END_S = 0.0

def hang(stop):
    print("it hangs", flush=True)
    threading.Event().wait()

def fail(stop):
    raise ValueError("no")

threads.run_until_stopped({parts}, {code})
"""


@pytest.mark.parametrize(
    ("parts", "code", "expected"),
    [
        ('{"one": hang}', "", 0),
        ('{"one": hang}', "code_if_cut_short=1", 1),
        ('{"one": hang, "other": fail}', "", 1),
    ],
    ids=["asked", "what-it-had-to-do-is-not-done", "failed"],
)
def test_the_code_of_a_process_that_ends_without_a_part_that_hangs(
    parts: str, code: str, expected: int
) -> None:
    program = HANGS.replace("{parts}", parts).replace("{code}", code)
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"it hangs\n"
        if "fail" not in parts:
            process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=60)[1]
    assert process.returncode == expected
    assert b"Stopped without waiting any longer for one" in errors
