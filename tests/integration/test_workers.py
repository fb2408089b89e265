"""What tests start does not outlive them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from messaging.testing.waiting import wait_until
from tests.support.processes import ROOT

STARTER = """
import os, sys
from tests.support.processes import Worker

worker = Worker({}, "-c", "import time; time.sleep(600)",
                program=[sys.executable])
if sys.argv[1] == "frozen":
    worker.freeze()
print(worker.process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["active", "frozen"])
def test_a_worker_ends_with_the_killed_process_that_started_it(state: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, state],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as starter:
        assert starter.stdout is not None
        worker = int(starter.stdout.readline())
        assert is_alive(worker)
        os.kill(starter.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(worker), "the worker has ended")


def is_alive(pid: int) -> bool:
    """Not as a zombie, which waits to be collected only."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False
