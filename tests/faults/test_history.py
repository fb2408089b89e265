"""Clients write and read while everything beneath them is killed, frozen and cut; a checker
that knows nothing of the project's code then judges what they were told.

SOAK_SEED repeats a long run: the seed and its schedule are printed first.
"""

import os
import random
import shutil
import subprocess
import sys

import pytest

from tests.faults.history.deploy import NEW, newer_code
from tests.support.processes import ROOT, manage

SEED = 1
SHORT = {
    "sqlite": [
        "freeze relay", "rebuild in quiet then stop a consumer", "kill web", "fill the disk",
        "kill the consumer that rebuilds",
    ],
    "postgresql": [
        "cut connections", "kill postgresql", "rebuild in quiet then stop a consumer",
        "terminate all backends", "kill the consumer that rebuilds",
    ],
}  # fmt: skip
AFTERWARDS_S = 500  # starting, healing and checking


def history(kind: str, seconds: int, seed: int, *acts: str, printed: bool = False) -> str:
    """In a process of its own, which takes all that it started with it when it ends. Returns
    what it said."""
    program = [sys.executable, "-m", "tests.faults.history.run", kind, str(seconds), str(seed)]
    program += [",".join(acts)] if acts else []
    out = None if printed else subprocess.PIPE
    with subprocess.Popen(program, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT) as running:
        try:
            output, _ = running.communicate(timeout=seconds + AFTERWARDS_S)
        finally:
            running.terminate()
    said = (output or b"").decode(errors="replace")
    assert running.returncode == 0, said[-8_000:]
    return said


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", list(SHORT))
def test_no_promise_is_broken_in_half_a_minute_of_faults(kind: str) -> None:
    history(kind, 30, SEED, *SHORT[kind])


def test_the_code_that_acts_deploy_writes_a_newer_event() -> None:
    tree = newer_code()
    try:
        assert NEW in manage({}, "events", "schema", folder=tree).stdout
    finally:
        shutil.rmtree(tree)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("kind", list(SHORT))
def test_no_promise_is_broken_in_ten_minutes_of_faults(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10_000))
    with capfd.disabled():
        history(kind, 600, seed, printed=True)


# On the stack where they are possible, or where it costs least.
DIRECTED = {
    "freeze web in a transaction": "postgresql",
    "freeze a consumer in a transaction": "postgresql",
    "freeze a builder in its clean up": "postgresql",
    "put the log back": "postgresql",
    "rebuild in quiet then stop a consumer": "sqlite",
    "forge a record": "sqlite",
    "deploy code with a newer event": "sqlite",
}


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("act", DIRECTED)
def test_each_act_that_aims_at_a_moment_meets_it(act: str) -> None:
    assert "MISSED" not in history(DIRECTED[act], 20, SEED, act)
