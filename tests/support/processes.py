"""Postlog's own processes, started, frozen and killed by tests."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from django.core.management import CommandError, call_command

from dev.guard import Guard
from tests.support.forked import Forked

COMMAND_S = 300
ROOT = Path(__file__).resolve().parents[2]


def environment(env: dict[str, str]) -> dict[str, str]:
    """This one and `env`, without what is set for browser tests in this process only: `check`
    refuses it."""
    return {**os.environ, **env, "DJANGO_ALLOW_ASYNC_UNSAFE": ""}


@cache
def guard() -> Guard:
    """Ends what this process has left behind when it is gone, also when it was killed."""
    return Guard().__enter__()


class Worker:
    """`manage.py ...`, or any other command, in the environment of a mode."""

    def __init__(
        self,
        env: dict[str, str],
        *arguments: str,
        program: list[str] | None = None,
        folder: Path = ROOT,
    ) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  has no name, so nothing of it stays
        self._said = ""
        self.arguments = arguments
        env = {**environment(env), "PYTHONWARNINGS": "default", "PYTHONFAULTHANDLER": "1"}
        self.process = self._start(program, folder, env)
        guard().watch(self.process.pid)

    def _start(
        self, program: list[str] | None, folder: Path, env: dict[str, str]
    ) -> Forked | subprocess.Popen[bytes]:
        if program is None and folder == ROOT:
            return forked(self.arguments, env, self._log, self._log)
        return subprocess.Popen(
            [*(program or [sys.executable, "manage.py"]), *self.arguments],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._show_stacks()
            print(f"--- {' '.join(self.arguments)}\n{self.output()[-4000:]}")  # noqa: T201
        self.kill()

    def _show_stacks(self) -> None:
        """Where it hangs, if it does: Python's fault handler answers SIGABRT."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGABRT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)

    def output(self) -> str:
        if self._log.closed:
            return self._said
        log = self._log.fileno()
        return os.pread(log, os.fstat(log).st_size, 0).decode(errors="replace")

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        guard().forget(self.process.pid)
        self._said = self.output()
        self._log.close()

    def freeze(self) -> None:
        os.killpg(self.process.pid, signal.SIGSTOP)

    def is_frozen(self) -> bool:
        """Also by itself."""
        status = Path(f"/proc/{self.process.pid}/stat").read_text()
        return status.rpartition(")")[2].split()[0] == "T"

    def thaw(self) -> None:
        os.killpg(self.process.pid, signal.SIGCONT)

    def stop(self, deadline_s: float = 30) -> int:
        """SIGTERM, as an operator's supervisor does, once it is heeded; the exit code."""
        begun = time.monotonic()
        while not self._heeds_sigterm() and time.monotonic() < begun + deadline_s / 2:
            time.sleep(0.02)
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(begun + deadline_s - time.monotonic())

    def _heeds_sigterm(self) -> bool:
        """Or has ended. One that has just been started is ended by the signal itself."""
        with suppress(FileNotFoundError, ProcessLookupError):
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            (caught,) = re.findall(r"^SigCgt:\s*(\S+)", status, re.MULTILINE)
            if int(caught, 16) & 1 << signal.SIGTERM - 1:
                return True
        return self.process.poll() is not None

    def wait(self, deadline_s: float = 60) -> int:
        return self.process.wait(deadline_s)


def forked(arguments: Sequence[str], env: dict[str, str], out: IO[Any], error: IO[Any]) -> Forked:
    """`manage.py` of this checkout, with nothing to read."""
    with open(os.devnull) as nothing:
        return Forked(arguments, ROOT, env, (nothing.fileno(), out.fileno(), error.fileno()))


def manage(
    env: dict[str, str], *arguments: str, folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    if folder != ROOT:
        return _executed(env, arguments, folder)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error:
        process = forked(arguments, environment(env), out, error)
        try:
            code = process.wait(COMMAND_S)
        finally:
            process.send_signal(signal.SIGKILL)
        for said in (out, error):
            said.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), error.read())


def _executed(
    env: dict[str, str], arguments: Sequence[str], folder: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=folder,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )


def here(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The same in this process: without the second that it takes to start one. Not for wrong
    usage, which raises here instead of printing."""
    out, err, code = StringIO(), StringIO(), 0
    try:
        call_command(*arguments, stdout=out, stderr=err)
    except CommandError as error:
        err.write(str(error))
        code = error.returncode
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
