"""A real server, from a package: neither Docker, Java, root nor anything installed is needed.

Used by the tests, by `make stack` and by the benchmarks. Each server listens on 127.0.0.1 only,
keeps its data below the temporary folder, and dies with the process that started it.
"""

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from dev.cache import ServiceError

PR_SET_PDEATHSIG = 1
STOP_S = 30


class Server:
    """One server process on one data folder."""

    name = ""
    start_s = 180

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def prepare(self) -> None:
        """Make the data folder, if it is new."""
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    stop_signal = signal.SIGTERM
    death_signal = signal.SIGKILL
    user: dict[str, Any] = {}

    def start(self) -> None:
        self.launch()
        self.wait_for_answer()

    def launch(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = lock_folder(self.folder)
        self.prepare()
        log = self._open_log()
        libc = ctypes.CDLL(None)  # before the fork
        death_signal = int(self.death_signal)
        self.process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            start_new_session=True,  # so that Ctrl-C reaches who started it, and not the server
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, death_signal),
            **self.user,
        )
        log.close()

    def wait_for_answer(self) -> None:
        deadline = time.monotonic() + self.start_s
        while not self.answers():
            if (
                self.process is None
                or self.process.poll() is not None
                or time.monotonic() > deadline
            ):
                self.kill()
                raise ServiceError(f"{self.name} did not start.\n{self.log_tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it in order; by force if that takes too long."""
        if self.process is None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        self._let_go()

    def kill(self) -> None:
        """SIGKILL: what a power cut does to it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        self._let_go()

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def wipe(self) -> None:
        """Delete its data, stopped or not."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self) -> str:
        try:
            return (self.folder / "server.log").read_text(errors="replace")[-3000:]
        except OSError as error:
            return str(error)

    def _open_log(self) -> IO[bytes]:
        return (self.folder / "server.log").open("ab")


def nobody() -> dict[str, Any]:
    """PostgreSQL and PgBouncer refuse to run as root."""
    root = os.getuid() == 0
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if root else {}


def lock_folder(folder: Path) -> IO[bytes]:
    """Hold a data folder: two servers on one would ruin it. Raises `ServiceError`."""
    lock = (folder / "in-use").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ServiceError(f"{folder} is in use: stop the stack that runs on it first.") from None
    return lock


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def temporary_folder(name: str, parent: Path | None = None) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"postlog-{name}-", dir=parent))
    folder.chmod(0o755)
    return folder
