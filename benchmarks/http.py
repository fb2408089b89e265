"""A server, and clients that keep it busy."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.setup import ROOT
from dev.server import free_port

SITE = "config.asgi:application"
THREADS = "4"  # of a worker
CLIENTS = 8  # connections, each with one request at a time


@contextmanager
def granian(application: str) -> Iterator[int]:
    """The port of a granian with 2 workers of 4 threads each."""
    port = free_port()
    kind = ["asginl"] if application == SITE else ["wsgi", "--blocking-threads", THREADS]
    options = ["--interface", *kind, "--http", "1", "--workers", "2", "--no-ws"]
    server = subprocess.Popen(
        [sys.executable, "-m", "granian", *options, "--port", str(port), application],
        cwd=ROOT,
        env={**os.environ, "WEB_THREADS": THREADS},
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
        # As behind a proxy that ends TLS, which the production settings ask for.
        proxied = {"Content-Type": "application/json", "X-Forwarded-Proto": "https"}
        self.headers = {**proxied, **(headers or {})}

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


def throughput(
    port: int, requests: list[tuple[str, str, str | None]], headers: dict[str, str]
) -> float:
    """Requests a second, all clients together."""
    queue = iter(requests)
    lock = threading.Lock()

    def work() -> None:
        client = Client(port, headers)
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
