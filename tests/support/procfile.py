"""The web server as the Procfile starts it."""

import os
import socket
import sys
from pathlib import Path

from dev.server import free_port
from messaging.testing.waiting import wait_until
from tests.support.processes import ROOT, Worker
from tests.support.web import status_of

PATIENCE_S = 30  # with a server that does nothing else


class ProcfileWeb(Worker):
    """The web line of the Procfile, by a shell, as a runner of Procfiles has it."""

    def __init__(self, env: dict[str, str], folder: Path = ROOT) -> None:
        lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.port = free_port()
        program = ["/bin/sh", "-c", f"exec {lines['web']}"]
        env = {**env, "PATH": path, "PORT": str(self.port)}
        super().__init__(env, program=program, folder=folder)

    def __enter__(self) -> "ProcfileWeb":
        wait_until(lambda: self.live() == 200, "the site answers", 120)
        return self

    def live(self) -> int | None:
        return status_of(f"http://127.0.0.1:{self.port}/health/live")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def send(self, *parts: bytes, end: bool = False) -> bytes:
        """Send these on a connection of their own, with no more to come if this is the `end`;
        what is answered until the server ends it."""
        with self.connect() as connection:
            for part in parts:
                connection.sendall(part)
            if end:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65_536), b""))
