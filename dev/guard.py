"""A process that ends others when the one that started it is gone, also by SIGKILL.

It reads from a pipe whose only writer is that process: `+123` names the leader of a process
group to end, `-123` one that has ended; end of file means that the writer is gone. A parent
death signal (Linux only) would not do: it reaches no process that others have started.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from types import TracebackType

GRACE_S = 5


class Guard:
    """The writer's end. `grace_s`: for those that end in order."""

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s

    def __enter__(self) -> "Guard":
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__, str(self._grace_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # a closed terminal does not reach it
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def watch_this_process(self) -> None:
        """Called in a new process that leads its group, before it executes its program."""
        self.watch(os.getpid())

    def watch(self, pid: int) -> None:
        """Of the leader of a process group."""
        self._write(f"+{pid}")

    def forget(self, pid: int) -> None:
        """It has ended, and its id may soon be another's."""
        self._write(f"-{pid}")

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # somebody has killed the guard
            os.write(self._process.stdin.fileno(), f"{line}\n".encode())


def signal_group(leader: int, signum: int) -> bool:
    """Whether there is anybody in the group."""
    try:
        os.killpg(leader, signum)
    except (ProcessLookupError, PermissionError):  # the latter on macOS, for zombies
        return False
    return True


def main() -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for leader in groups:
        with suppress(ProcessLookupError):
            os.kill(leader, signal.SIGTERM)  # it ends those that it has started
    deadline = time.monotonic() + float(sys.argv[1])
    while any(signal_group(leader, 0) for leader in groups) and time.monotonic() < deadline:
        time.sleep(0.05)
    for leader in groups:
        signal_group(leader, signal.SIGKILL)


if __name__ == "__main__":
    main()
