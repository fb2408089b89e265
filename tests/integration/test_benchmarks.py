"""`make bench` is run now and then; what it needs is looked at each time."""

import subprocess
import sys

import pytest

from benchmarks.__main__ import NAMES
from tests.support.modes import Mode
from tests.support.processes import ROOT, environment

ALL = "; ".join(f"import benchmarks.{name}" for name in NAMES)


SITES = ["import benchmarks.bare_site", "import benchmarks.drf_site"]


@pytest.mark.parametrize("program", [ALL, *SITES], ids=["all", "bare site", "drf site"])
def test_what_is_measured_still_starts(program: str, sqlite: Mode) -> None:
    """The sites have settings of their own, so each starts in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=ROOT,
        env=environment(sqlite.env),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
