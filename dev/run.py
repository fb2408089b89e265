"""Run the processes of the Procfile until Ctrl-C: `PORT=8000 python -m dev.run`.

They never outlive the runner, however it ends: a guard (guard.py) ends them if it cannot.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from dev.guard import Guard, signal_group
from dev.terminal import own_ctrl_c

ROOT = Path(__file__).resolve().parents[1]
LOOK_EVERY_S = 0.1
STOP_S = 5  # then SIGKILL
COLOURS = {"web": 36, "relay": 33, "consumer": 32}


class Process(subprocess.Popen[bytes]):
    """One line of the Procfile: in a session of its own, so that Ctrl-C reaches the runner only."""

    def __init__(self, name: str, command: str, env: dict[str, str], guard: Guard) -> None:
        super().__init__(
            f"exec {command}",
            shell=True,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # By the child itself: the runner might be killed before it could.
            preexec_fn=guard.watch_this_process,
        )
        self.name = name
        self.printer = threading.Thread(target=self._print_output, daemon=True)

    def _print_output(self) -> None:
        assert self.stdout is not None
        for line in self.stdout:
            self._print(line.decode(errors="replace").rstrip("\n"))

    def _print(self, line: str) -> None:
        prefix = f"{time.strftime('%H:%M:%S')} {self.name:<8} | "
        if sys.stdout.isatty():
            prefix = f"\033[{COLOURS.get(self.name, 0)}m{prefix}\033[0m"
        with suppress(OSError):  # the terminal is gone; the process must not block on its output
            print(f"{prefix}{line}", flush=True)  # noqa: T201

    def ended(self) -> bool:
        """Say so at the first time."""
        before = self.returncode
        if before is None and self.poll() is not None:
            self._print(f"ended (exit code {self.returncode})")
        return self.returncode is not None


def run(env: dict[str, str]) -> int:
    """Return 0 after Ctrl-C, SIGTERM or SIGHUP. If the web server ends by itself, stop the
    others and return its exit code; when relay or consumer ends, the others stay."""
    asked: list[int] = []
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) is not signal.SIG_IGN:  # as nohup has it for SIGHUP
            signal.signal(signum, lambda signum, _: asked.append(signum))
    with own_ctrl_c(), Guard() as guard:
        lines = [line.partition(": ") for line in (ROOT / "Procfile").read_text().splitlines()]
        processes = {name: Process(name, command, env, guard) for name, _, command in lines}
        for process in processes.values():  # no thread before the last fork
            process.printer.start()
        while not asked and not processes["web"].ended():
            for process in processes.values():
                if process.ended():
                    guard.forget(process.pid)
            time.sleep(LOOK_EVERY_S)
        stop(list(processes.values()))
    return 0 if asked else processes["web"].returncode or 1


def stop(processes: list[Process]) -> None:
    """SIGTERM to each; SIGKILL to whatever of them is left after `STOP_S`."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_S
    while not all(process.ended() for process in processes) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
    for process in processes:
        signal_group(process.pid, signal.SIGKILL)
        process.wait()
        process.ended()
        process.printer.join(1)


if __name__ == "__main__":
    sys.exit(run({**os.environ}))
