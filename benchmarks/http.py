"""A server, and clients that keep it busy."""

import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.setup import ROOT
from dev.server import free_port

SITE = "config.asgi:application"
THREADS = 4  # of a worker
# As behind a proxy that ends TLS, which the production settings ask for.
PROXIED = {"Content-Type": "application/json", "X-Forwarded-Proto": "https"}
LENGTH = re.compile(rb"content-length: ([0-9]+)", re.IGNORECASE)
Requests = list[tuple[str, str, str | None]]
CLIENTS = 8  # connections, each with one request at a time


@contextmanager
def granian(application: str, *, threads: int = THREADS) -> Iterator[int]:
    """The port of a granian with 2 workers of so many threads each."""
    port = free_port()
    kind = ["asginl"] if application == SITE else ["wsgi", "--blocking-threads", str(threads)]
    options = ["--interface", *kind, "--http", "1", "--workers", "2", "--no-ws"]
    server = subprocess.Popen(
        [sys.executable, "-m", "granian", *options, "--port", str(port), application],
        cwd=ROOT,
        env={**os.environ, "WEB_THREADS": str(threads)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not answers(port):
            if time.monotonic() > deadline:
                raise TimeoutError(application)
            time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Client:
    """One connection that is kept."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.headers = {**PROXIED, **(headers or {})}

    def ask(self, method: str, path: str, body: str | None = None) -> bytes:
        status, content = self._exchange(method, path, body)
        if status >= 300:
            raise AssertionError(f"{method} {path}: {status} {content[:300]!r}")
        return content

    def status(self, method: str, path: str) -> int:
        return self._exchange(method, path, None)[0]

    def _exchange(self, method: str, path: str, body: str | None) -> tuple[int, bytes]:
        self.connection.request(method, path, body, self.headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


class RawClient:
    """Sends what is an HTTP request, and looks at the status and the length of the answer."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = {"Host": "127.0.0.1", **PROXIED, **headers}
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in sent.items())

    def ask(self, method: str, path: str, body: str | None) -> None:
        length = f"Content-Length: {len(body)}\r\n" if body is not None else ""
        head = f"{method} {path} HTTP/1.1\r\n{self._headers}{length}\r\n"
        self._socket.sendall(f"{head}{body or ''}".encode())
        found = self._socket.recv(65_536)
        while (end := found.find(b"\r\n\r\n")) < 0:
            found += self._socket.recv(65_536)
        if not found.startswith(b"HTTP/1.1 20"):
            raise AssertionError(f"{method} {path}: {found[:300]!r}")
        said = LENGTH.search(found, 0, end)  # else it comes in chunks, the last of them empty
        while len(found) - end - 4 < int(said[1]) if said else not found.endswith(b"0\r\n\r\n"):
            found += self._socket.recv(65_536)


def throughput(port: int, requests: Requests, headers: dict[str, str]) -> float:
    """Requests a second, all clients together."""
    return rate(lambda: Client(port, headers), requests)


def raw_throughput(port: int, requests: Requests, headers: dict[str, str]) -> float:
    """So too, by clients that cost a tenth of Python's own: they would be what is measured."""
    return rate(lambda: RawClient(port, headers), requests)


def rate(connect: Callable[[], Any], requests: Requests) -> float:
    queue = iter(requests)
    lock = threading.Lock()

    def work() -> None:
        client = connect()
        while True:
            with lock:
                request = next(queue, None)
            if request is None:
                return
            client.ask(*request)

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(requests) / (time.perf_counter() - begun)


def cpu_s(port: int) -> float:
    """Seconds of CPU that the processes whose command line names the port have used."""
    total = 0.0
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and str(port).encode() in read(entry / "cmdline"):
            found.add(entry.name)
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            fields = read(entry / "stat").rpartition(b")")[2].split()
            if fields and (entry.name in found or fields[1].decode() in found):
                total += (int(fields[11]) + int(fields[12])) / 100
    return total


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""
