"""The proxy that tests of faults stand on: each of its faults is what it says."""

import socket
from collections.abc import Iterator
from contextlib import closing
from threading import Thread

import pytest

from messaging.testing.waiting import wait_until
from tests.support.proxy import Proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets; its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads = []

    def answer(peer: socket.socket) -> None:
        with peer:
            try:
                while got := peer.recv(65536):
                    peer.sendall(got)
            except OSError:
                pass

    def serve() -> None:
        while True:
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            threads.append(Thread(target=answer, args=(peer,)))
            threads[-1].start()

    server = Thread(target=serve)
    server.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    for thread in (server, *threads):
        thread.join(10)


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Proxy("127.0.0.1", echo) as found:
        yield found


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def answered(client: socket.socket, text: bytes, timeout_s: float = 10) -> bytes:
    client.settimeout(timeout_s)
    client.sendall(text)
    got = b""
    while len(got) < len(text):
        piece = client.recv(65536)
        if not piece:
            raise ConnectionResetError
        got += piece
    return got


def test_it_forwards_both_ways_and_passes_on_the_end(proxy: Proxy) -> None:
    with closing(connected(proxy)) as client:
        assert answered(client, b"x" * 100_000) == b"x" * 100_000
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    wait_until(lambda: proxy.connections == 0, "nothing of the connection is left")


def test_a_cut_resets_connections_and_refuses_new_ones_until_healed(proxy: Proxy) -> None:
    with closing(connected(proxy)) as before:
        assert answered(before, b"one") == b"one"
        proxy.cut()
        with pytest.raises(OSError):  # noqa: PT011
            answered(before, b"two")
    with pytest.raises(OSError), closing(connected(proxy)) as during:  # noqa: PT011
        answered(during, b"three")
    proxy.heal()
    with closing(connected(proxy)) as after:
        assert answered(after, b"four") == b"four"


def test_a_reset_ends_connections_and_lets_new_ones_in(proxy: Proxy) -> None:
    with closing(connected(proxy)) as before:
        assert answered(before, b"one") == b"one"
        proxy.reset()
        with pytest.raises(OSError):  # noqa: PT011
            answered(before, b"two")
    with closing(connected(proxy)) as after:
        assert answered(after, b"three") == b"three"


def test_what_a_stall_held_back_arrives_when_it_is_healed(proxy: Proxy) -> None:
    with closing(connected(proxy)) as client:
        assert answered(client, b"one") == b"one"
        proxy.stall()
        with pytest.raises(TimeoutError):
            answered(client, b"two", timeout_s=0.2)
        proxy.heal()
        client.settimeout(10)
        assert client.recv(100) == b"two"


def test_slow_holds_each_piece(proxy: Proxy) -> None:
    with closing(connected(proxy)) as client:
        proxy.slow(1)
        with pytest.raises(TimeoutError):
            answered(client, b"one", timeout_s=0.3)  # 1 s there and 1 s back
        client.settimeout(10)
        assert client.recv(100) == b"one"


def test_closing_ends_what_is_stalled(echo: int) -> None:
    with Proxy("127.0.0.1", echo) as proxy:
        client = connected(proxy)
        proxy.stall()
        client.sendall(b"held")
    with closing(client), pytest.raises(OSError):  # noqa: PT011
        answered(client, b"more")
