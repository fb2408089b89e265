"""What `make run` and `make stack` start stays up together, and ends together."""

import json
import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

import pytest

from dev.server import free_port, temporary_folder
from messaging.testing.waiting import wait_until
from tests.support.modes import Mode
from tests.support.processes import ROOT

RUN = [sys.executable, "-m", "dev.run"]
STACK = "from pathlib import Path; from dev.stack import main; main(Path({0!r}), Path({1!r}))"


class Running:
    """A runner in a terminal of its own, and all that it has started."""

    def __init__(self, env: dict[str, str], arguments: list[str]) -> None:
        self.port, self._mark = free_port(), f"POSTLOG_TEST_MARK={uuid4()}"
        name, _, value = self._mark.partition("=")
        child, terminal = pty.fork()
        if child == 0:
            # As a user's shell: make is a child of it. `:` so that it does not become the runner.
            command = shlex.join(arguments) + "; :"
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # as make has it
            environment = {**os.environ, **env, name: value, "PORT": str(self.port), "PATH": path}
            os.chdir(ROOT)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
            os.execve("/bin/sh", ["sh", "-c", command], environment)
        self.shell = child
        # What they print; pytest shows it after a failure.
        self.window = subprocess.Popen(["cat"], stdin=terminal)
        os.close(terminal)

    def processes(self) -> dict[int, str]:
        """The command lines of all processes alive, by id."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if line:  # else a zombie
                        found[int(folder.name)] = line
            except OSError:
                continue  # it has just ended
        return found

    def of(self, what: str) -> set[int]:
        return {pid for pid, line in self.processes().items() if what in line}

    def site(self) -> Any:
        """What the site says of itself; nothing if it does not answer."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/health/live", timeout=5) as answer:
                return json.load(answer)
        except (URLError, OSError):
            return None

    def close_window(self) -> None:
        """The last who holds the terminal's other end goes: its processes get SIGHUP."""
        self.window.kill()
        self.window.wait()

    def kill_all(self) -> None:
        for pid in self.processes():
            with suppress(ProcessLookupError):  # the guard ends them too, once the runner is gone
                os.kill(pid, signal.SIGKILL)


@contextmanager
def running(env: dict[str, str], arguments: list[str]) -> Iterator[Running]:
    found = Running(env, arguments)
    try:
        wait_until(lambda: found.site() and workers(found), "the site answers", 120)
        wait_until(lambda: found.of("runrelay") and found.of("runconsumer"), "workers run")
        yield found
    finally:
        found.kill_all()
        found.close_window()
        os.waitpid(found.shell, 0)


def workers(site: Running) -> set[int]:
    """granian's workers are children of the process that the runner knows."""
    granian = site.of("bin/granian")
    return {pid for pid in site.of("multiprocessing") | granian if parent(pid) in granian}


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    except OSError:
        return 0


def close_the_terminal(site: Running) -> None:
    site.close_window()


def kill_the_runner(site: Running) -> None:
    [runner] = {pid for pid in site.of(sys.executable) if parent(pid) == site.shell}
    os.kill(runner, signal.SIGKILL)


def test_a_killed_web_worker_is_replaced_and_nothing_else_ends(sqlite: Mode) -> None:
    with running(sqlite.env, RUN) as site:
        before = workers(site)
        others = site.of("runrelay") | site.of("runconsumer")
        killed = before.pop()
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: len(workers(site) - {killed}) == 2, "there are two workers again")
        wait_until(site.site, "the site answers")
        assert site.of("runrelay") | site.of("runconsumer") == others
        assert before <= workers(site)


@pytest.mark.parametrize("end", [close_the_terminal, kill_the_runner])
def test_nothing_outlives_the_runner(sqlite: Mode, end: Any) -> None:
    with running(sqlite.env, RUN) as site:
        end(site)
        wait_until(lambda: not site.processes(), "all processes have ended", 30)


def test_a_signal_to_make_ends_what_it_started_though_there_is_no_terminal(sqlite: Mode) -> None:
    detached = "import os; os.setsid(); os.execvp('make', ['make', 'run'])"
    with running(sqlite.env, [sys.executable, "-c", detached]) as site:
        [make] = {pid for pid in site.of("make run") if parent(pid) == site.shell}
        os.kill(make, signal.SIGTERM)
        wait_until(lambda: not site.processes(), "all processes have ended", 30)


@pytest.mark.parametrize("end", [close_the_terminal, kill_the_runner])
def test_nothing_outlives_the_stack_its_servers_included(tmp_path: Path, end: Any) -> None:
    folder = temporary_folder("test-stack")
    try:
        program = STACK.format(str(folder), str(tmp_path / "stack.env"))
        with running({}, [sys.executable, "-c", program]) as site:
            assert site.of("kafka.Kafka")
            assert site.of("bin/postgres")
            end(site)
            wait_until(lambda: not site.processes(), "all processes have ended", 60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
