"""All tests: `python -m dev.tests 6` runs them in six processes.

Beside them, the tests of what a PostgreSQL client does in its own way run again with psycopg 3
(tests/conftest.py chooses), so that no core is idle while either run starts its servers or waits.
What the second run says comes in one piece: at its end, or below the first if it is red.

Neither run outlives this process, however that ends (guard.py).
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dev.guard import Guard, signal_group

ROOT = Path(__file__).resolve().parents[1]
PSYCOPG3 = ROOT / ".venv" / "psycopg3"  # in a folder of its own: all others run with psycopg 2
LOG = PSYCOPG3 / "test.log"
LOOK_EVERY_S = 0.1
GRACE_S = 30  # for pytest, which ends what it has started


class Tests(subprocess.Popen[bytes]):
    """pytest in a session of its own, so that Ctrl-C reaches this process only."""

    def __init__(self, guard: Guard, arguments: list[str], **options: Any) -> None:
        def before() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # which a shell may have had ignored
            guard.watch_this_process()

        pytest = str(Path(sys.executable).with_name("pytest"))
        command = [pytest, "--dist", "worksteal", *arguments]
        super().__init__(command, cwd=ROOT, start_new_session=True, preexec_fn=before, **options)
        self._guard = guard

    def has_ended(self) -> bool:
        before = self.returncode
        if self.poll() is not None and before is None and not signal_group(self.pid, 0):
            self._guard.forget(self.pid)
        return self.returncode is not None


def run(processes: str) -> int:
    """Return the exit code of whichever run is red. Ctrl-C, SIGTERM and SIGHUP stop both."""
    asked: list[int] = []
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) is not signal.SIG_IGN:  # as nohup has it for SIGHUP
            signal.signal(signum, lambda signum, _: asked.append(signum))
    psycopg3 = {**os.environ, "TEST_PSYCOPG": "3", "PYTHONPATH": str(PSYCOPG3)}
    with Guard(GRACE_S) as guard, LOG.open("w") as log:
        options: dict[str, Any] = {"env": psycopg3, "stdout": log, "stderr": log}
        beside = Tests(guard, ["-n", "2", "tests/integration"], **options)
        if os.environ.get("TEST_POSTGRES"):  # whose databases both would use
            wait(asked, beside)
        others = Tests(guard, ["-n", processes])
        is_shown = False
        while not others.has_ended() and not asked:
            if not is_shown and beside.has_ended() and beside.returncode == 0:
                is_shown = show_log()
            time.sleep(LOOK_EVERY_S)
        wait(asked, others, beside)
        if not is_shown:
            show_log()
    return others.returncode or beside.returncode


def wait(asked: list[int], *runs: Tests) -> None:
    """Wait for their end, and stop them at each signal."""
    told = 0
    while not all(tests.has_ended() for tests in runs):
        if told < len(asked):
            told = len(asked)
            for tests in runs:
                tests.send_signal(signal.SIGINT)  # as Ctrl-C: pytest stops its servers
        time.sleep(LOOK_EVERY_S)


def show_log() -> bool:
    print(f"\n\nWith psycopg 3:\n{LOG.read_text()}", flush=True)  # noqa: T201
    return True


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
