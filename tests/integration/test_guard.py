"""What a runner has started never outlives it: its guard ends whole groups of processes."""

import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

from dev.guard import Guard
from messaging.testing.waiting import wait_until

READY = "print('ready', flush=True); time.sleep(600)"
STUBBORN = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}"
LEAVES_ONE_BEHIND = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STUBBORN!r}])"
IN_ORDER = f"""
import os, signal, sys, time
def end(signum, frame):
    os.write(1, b"ended in order\\n")  # print may be at work on what it interrupts
    sys.exit()
signal.signal(signal.SIGTERM, end)
{READY}
"""


class Started(subprocess.Popen[bytes]):
    """A leader of a group, which the guard watches."""

    def __init__(self, guard: Guard, program: str) -> None:
        super().__init__(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=guard.watch_this_process,
        )
        assert self.stdout is not None
        assert self.stdout.readline() == b"ready\n"

    def rest(self) -> bytes:
        """What it prints until it, and all that have its output, are gone."""
        return self.communicate(timeout=30)[0]


def ignores(pid: int, *signals: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    return all(ignored >> (signum - 1) & 1 for signum in signals)


def test_what_does_not_end_by_itself_is_killed() -> None:
    with Guard(grace_s=0.1) as guard:
        leader = Started(guard, STUBBORN)
    leader.rest()
    assert leader.returncode == -signal.SIGKILL


def test_what_its_leader_leaves_behind_is_killed_too() -> None:
    with Guard(grace_s=0.1) as guard:
        leader = Started(guard, LEAVES_ONE_BEHIND)
    leader.rest()  # not before both are gone


def test_each_may_end_in_order_first() -> None:
    """It may have started others, which lead groups of their own."""
    with Guard(grace_s=60) as guard:
        leader = Started(guard, IN_ORDER)
        Thread(target=leader.wait).start()  # a process that nobody waits for stays in its group
    assert leader.rest() == b"ended in order\n"
    assert leader.returncode == 0


def test_one_that_was_forgotten_is_left_alone() -> None:
    """By then its id may be another's."""
    with Guard(grace_s=0.1) as guard:
        other = Started(guard, STUBBORN)
        guard.forget(other.pid)
    assert other.poll() is None
    other.kill()
    other.rest()


def test_no_signal_that_ends_the_runner_ends_the_guard() -> None:
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with Guard(grace_s=0.1) as guard:
        leader = Started(guard, STUBBORN)
        pid = guard._process.pid
        wait_until(lambda: ignores(pid, *signals), "it has started")
        for signum in signals:
            guard._process.send_signal(signum)
    leader.rest()
    assert leader.returncode == -signal.SIGKILL


def test_a_runner_goes_on_without_its_guard() -> None:
    with Guard() as guard:
        leader = Started(guard, IN_ORDER)
        guard._process.kill()
        guard._process.wait()
        guard.forget(leader.pid)
    leader.terminate()
    assert leader.rest() == b"ended in order\n"
