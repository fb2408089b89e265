"""All tests: `python -m dev.tests 6` runs them in six processes.

Beside them run once more, with psycopg 3, those of what a client of PostgreSQL does in its own way
(tests/conftest.py chooses), so that no core is idle while either starts its servers or waits.
What these say comes in one piece: at their end, or below the others if they are red.

Neither outlives this process, however it ends (guard.py).
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from dev.guard import Guard

ROOT = Path(__file__).resolve().parents[1]
PSYCOPG3 = ROOT / ".venv" / "psycopg3"  # in a folder of its own: all others run with psycopg 2
LOG = PSYCOPG3 / "test.log"
LOOK_EVERY_S = 0.1
GRACE_S = 30  # for pytest, which ends what it has started


class Tests(subprocess.Popen[bytes]):
    """pytest in a session of its own, so that Ctrl-C reaches this process only."""

    def __init__(self, guard: Guard, arguments: list[str], **options: object) -> None:
        pytest = Path(sys.executable).with_name("pytest")
        command = [pytest, "--dist", "worksteal", *arguments]
        options |= {"start_new_session": True, "preexec_fn": guard.watch_this_process}
        super().__init__(command, cwd=ROOT, **options)  # type: ignore[call-overload]


def run(processes: str) -> int:
    """Return the exit code of whichever is red. Ctrl-C, SIGTERM and SIGHUP stop both."""
    running: list[Tests] = []
    asked: list[int] = []

    def stop(signum: int, _: object) -> None:
        asked.append(signum)
        for tests in running:
            tests.send_signal(signal.SIGINT)  # as Ctrl-C: it stops its servers

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) is not signal.SIG_IGN:  # as nohup has it for SIGHUP
            signal.signal(signum, stop)
    psycopg3 = {**os.environ, "TEST_PSYCOPG": "3", "PYTHONPATH": str(PSYCOPG3)}
    with Guard(GRACE_S) as guard, LOG.open("w") as log:
        of_psycopg3 = ["-n", "2", "tests/integration"]
        beside = Tests(guard, of_psycopg3, env=psycopg3, stdout=log, stderr=log)
        running.append(beside)
        if os.environ.get("TEST_POSTGRES"):  # whose databases both would use
            beside.wait()
        running.append(others := Tests(guard, ["-n", processes]))
        if asked:  # before there were others
            others.send_signal(signal.SIGINT)
        is_told = False
        while others.poll() is None:
            if not is_told and beside.poll() == 0:
                is_told = tell()
            time.sleep(LOOK_EVERY_S)
        beside.wait()
        if not is_told:
            tell()
    return others.returncode or beside.returncode


def tell() -> bool:
    print(f"\n\nWith psycopg 3:\n{LOG.read_text()}", flush=True)  # noqa: T201
    return True


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
