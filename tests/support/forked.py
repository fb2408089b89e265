"""`manage.py` in a process that is forked from one that has imported Django and the like already.

A suite starts some hundreds of them, and a new Python spends 0.5 s of CPU until a command begins;
this one 0.15. A session, an environment, a folder, signals and an exit code are its own, and the
settings are read anew: it differs from another process in nothing that a test looks at.
"""

import faulthandler
import os
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

_context = get_context("forkserver")
# What needs no settings, and what that imports.
_context.set_forkserver_preload([
    "django.contrib.admin", "django.contrib.auth.hashers", "django.contrib.sessions.backends.db",
    "django.core.mail", "django.core.management", "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base", "django.db.migrations.executor", "django.views.generic",
    "django.template.backends.django", "confluent_kafka", "environ", "kafka", "msgspec",
    "prometheus_client", "tests.support.forked",
])  # fmt: skip


class Forked:
    """As `subprocess.Popen` with `manage.py`, which leads a session of its own."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, env: Mapping[str, str], fds: tuple[int, ...]
    ) -> None:
        """`fds`: its standard input, output and error."""
        ready, its_end = os.pipe()
        try:
            program = _Program(arguments, folder, env, (*fds, its_end))
            self._process = _context.Process(target=program)
            self._process.start()
        finally:
            os.close(its_end)
        os.read(ready, 1)  # it leads its session now, or has ended
        os.close(ready)
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("manage.py", timeout or 0)
        return self.returncode

    def send_signal(self, signum: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class _Program:
    """What the new process does."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, env: Mapping[str, str], fds: Sequence[int]
    ) -> None:
        self._arguments, self._folder, self._env, self._fds = arguments, folder, dict(env), fds

    def __getstate__(self) -> dict[str, Any]:
        """On its way there: the numbers of open files are others in another process."""
        return {**self.__dict__, "_fds": [DupFd(fd) for fd in self._fds]}

    def __call__(self) -> None:
        os.setsid()
        *standard, ready = [fd.detach() for fd in self._fds]  # type: ignore[attr-defined]
        for number, fd in enumerate(standard):
            os.dup2(fd, number)
            os.close(fd)
        os.write(ready, b"1")
        os.close(ready)
        os.environ.clear()
        os.environ.update(self._env)
        os.chdir(self._folder)
        if "PYTHONFAULTHANDLER" in self._env:
            faulthandler.enable()
        if wanted := self._env.get("PYTHONWARNINGS"):
            warnings.simplefilter(wanted)  # type: ignore[arg-type]
        sys.argv = ["manage.py", *self._arguments]
        self._run()

    def _run(self) -> None:
        try:
            runpy.run_path("manage.py", run_name="__main__")
        except SystemExit:
            raise
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            raise SystemExit(1) from None
