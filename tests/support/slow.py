"""Clients that are slow on purpose, or gone: sockets by the hundred, as an attacker opens them."""

import select
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from messaging.testing.waiting import wait_until

PATH = b"/accounts/login/"  # its form is read before anybody is asked for
LARGE = b"/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"  # 1.4 MB
POST = (
    b"POST %s HTTP/1.1\r\nHost: %s\r\nCookie: csrftoken=" + b"c" * 32
    + b"\r\nContent-Type: application/x-www-form-urlencoded\r\n"
)  # fmt: skip
DRIP_EVERY_S = 0.1
PROBES = 5
PART = 100  # connections
PROMISED_S = 1.0
TIMES_QUIET = 10  # on an idle machine it is 2

Kind = Callable[[bytes], bytes]  # what a connection begins with, to this host


def slow_head(host: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: %s\r\nX-Slow: " % host


def slow_body(host: bytes) -> bytes:
    return POST % (PATH, host) + b"Content-Length: 100000\r\n\r\nusername="


def slow_chunks(host: bytes) -> bytes:
    return POST % (PATH, host) + b"Transfer-Encoding: chunked\r\n\r\n186A0\r\nusername="


def slow_reader(host: bytes) -> bytes:
    """Asks for more than fits between the two, again and again, and reads nothing."""
    return b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (LARGE, host) * 4


def abandoned(host: bytes) -> bytes:
    """A whole request, whose answer costs some time, and nobody waits for it."""
    return b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (PATH, host)


def h2c(host: bytes) -> bytes:
    """HTTP/2 without TLS: 32 requests with bodies that never end."""
    # POST, http: of the static table; path and authority: literals.
    fields = b"\x83\x86\x04" + bytes([len(PATH)]) + PATH + b"\x01" + bytes([len(host)]) + host
    requests = b"".join(frame(0x1, 0x4, stream, fields) for stream in range(1, 64, 2))
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(0x4, 0, 0) + requests


def frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    return len(content).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + content


KINDS: dict[str, dict[Kind, int]] = {
    "heads": {slow_head: 200},
    "bodies": {slow_body: 200},
    "chunks": {slow_chunks: 200},
    "readers": {slow_reader: 50},
    "h2c": {h2c: 1},
    "abandoned": {abandoned: 200},
}
ALL = {kind: count for kinds in KINDS.values() for kind, count in kinds.items()}
DRIPPING = (slow_head, slow_body, slow_chunks)


class Attack:
    """So many connections of each kind, until the end. Those that drip send a byte now and again,
    and are opened anew when the server has ended them; those that abandon what they have asked
    for end, and are opened anew, by themselves; the others do nothing more."""

    def __init__(
        self, connect: Callable[[], socket.socket], kinds: dict[Kind, int], host: str = "localhost"
    ) -> None:
        self._open, self._host = connect, host.encode()
        all_kinds = [kind for kind, count in kinds.items() for _ in range(count)]
        self._connections = [(kind, self._connect(kind)) for kind in all_kinds]
        self._used = 0  # how often one of them was
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Attack":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        for _, connection in self._connections:
            connection.close()

    def _connect(self, kind: Kind) -> socket.socket:
        try:
            connection = self._open()
        except OSError:  # the server stops, or refuses so many
            return socket.socket()
        if kind is slow_reader:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with suppress(OSError):
            connection.send(kind(self._host))
        connection.setblocking(False)
        return connection

    def _run(self) -> None:
        while not self._stopping.wait(DRIP_EVERY_S):
            for index, (kind, connection) in enumerate(self._connections):
                if kind is abandoned or (kind in DRIPPING and not still_awaited(connection)):
                    connection.close()
                    self._connections[index] = kind, self._connect(kind)
                self._used += 1

    def wait_for_a_part(self) -> None:
        """Until so many more connections were used, or all there are. To use hundreds, each opened
        anew by TLS, takes minutes on a busy machine."""
        enough = self._used + min(PART, len(self._connections))
        wait_until(lambda: self._used >= enough, "connections are in use", 150)

    def readers_wait(self) -> bool:
        """Whether each that reads nothing could read something."""
        poll = select.poll()
        readers = [connection for kind, connection in self._connections if kind is slow_reader]
        for connection in readers:
            poll.register(connection, select.POLLIN)
        return len(poll.poll(0)) == len(readers)


def still_awaited(connection: socket.socket) -> bool:
    """Send the next byte; false when the server has answered, or ended the connection."""
    try:
        connection.send(b"x")
        connection.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        pass
    return False


def answers(ask: Callable[[], int | None]) -> float:
    """The median time of answers, all of which are 200."""
    taken = []
    for _ in range(PROBES):
        begun = time.monotonic()
        assert ask() == 200
        taken.append(time.monotonic() - begun)
    return statistics.median(taken)


def answers_meanwhile(attack: Attack, ask: Callable[[], int | None]) -> float:
    """The median time of answers during an attack, all of which are 200.

    A probe that the attack holds up waits for longer than `ask` does, since the attack lasts
    until the end. Of the others some are slow on a busy machine, so the median counts.
    """
    wait_until(attack.readers_wait, "there is an answer for each that reads nothing")
    taken = []
    for _ in range(PROBES):
        attack.wait_for_a_part()
        begun = time.monotonic()
        assert ask() == 200, "no answer while the attack lasts"
        taken.append(time.monotonic() - begun)
    return statistics.median(taken)
