"""deploy/nginx.conf, run by Debian's nginx, before a server that says what has reached it."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dev.server import free_port
from messaging.testing.waiting import wait_until
from tests.support.nginx import NAME, Nginx, new_address, nginx_before
from tests.support.web import status_of

pytestmark = pytest.mark.skipif(
    Nginx.program() is None, reason="nginx (or openssl) is missing and cannot be had here"
)
LIMIT = 1024 * 1024


class Echo(BaseHTTPRequestHandler):
    """Answers with the names and values that reached it."""

    protocol_version = "HTTP/1.1"
    server: "EchoServer"

    def do_POST(self) -> None:
        self.server.reached.append(self.path)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = json.dumps(self.headers.items()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        pass


class EchoServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.reached: list[str] = []


@pytest.fixture(scope="module")
def echo() -> Iterator[EchoServer]:
    with EchoServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def nginx(echo: EchoServer) -> Iterator[Nginx]:
    with nginx_before(echo.server_port) as nginx:
        yield nginx


@pytest.fixture
def address() -> str:
    """One that no other test uses, so that nothing is counted for it."""
    return new_address()


def seen_by(nginx: Nginx, address: str, headers: dict[str, str]) -> dict[str, list[str]]:
    status, _, body = nginx.ask("GET", "/", None, headers, address=address)
    assert status == 200
    found: dict[str, list[str]] = {}
    for name, value in json.loads(body):
        found.setdefault(name.lower(), []).append(value)
    return found


def test_what_clients_say_of_where_they_come_from_is_overwritten(
    nginx: Nginx, address: str
) -> None:
    spoofed = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port")
    spoofed += ("X-Real-IP", "Forwarded")
    seen = seen_by(nginx, address, dict.fromkeys(spoofed, "for=6.6.6.6"))
    assert seen["x-forwarded-for"] == [address]
    assert seen["x-forwarded-proto"] == ["https"]
    assert seen["x-forwarded-host"] == seen["host"] == [NAME]
    assert not {"x-forwarded-port", "x-real-ip", "forwarded"} & set(seen)


def test_names_with_underscores_do_not_pass(nginx: Nginx, address: str) -> None:
    seen = seen_by(nginx, address, {"X_Forwarded_For": "6.6.6.6", "X_Forwarded_Proto": "http"})
    assert not [name for name in seen if "_" in name]


PASS = {
    "Authorization": "Token abc",
    "If-Match": '"3"',
    "If-None-Match": 'W/"4", "5"',
    "Idempotency-Key": "some-key",
    "Consistency-Token": "a.b:c",
    "Cookie": "sessionid=x; csrftoken=y",
    "Origin": "https://elsewhere.example",
    "Accept-Encoding": "br",
}


def test_what_the_site_needs_passes_as_it_is(nginx: Nginx, address: str) -> None:
    seen = seen_by(nginx, address, PASS)
    assert {name: seen.get(name.lower()) for name in PASS} == {k: [v] for k, v in PASS.items()}


def test_what_is_for_operators_alone_does_not_pass(
    nginx: Nginx, echo: EchoServer, address: str
) -> None:
    for path in ("/metrics", "/health/ready"):
        for name in (path, f"{path}?", path.replace("/", "//"), f"/x/..{path}"):
            assert nginx.ask("GET", name, None, {}, address=address)[0] == 404, name
    assert not {"/metrics", "/health/ready"} & set(echo.reached)


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
def test_the_largest_body_is_what_the_site_takes(
    nginx: Nginx, settings: Any, address: str, size: int, status: int
) -> None:
    assert settings.DATA_UPLOAD_MAX_MEMORY_SIZE == LIMIT
    assert nginx.ask("POST", "/x", b"x" * size, address=address)[0] == status


def test_a_body_reaches_the_site_once_it_is_whole(
    nginx: Nginx, echo: EchoServer, address: str
) -> None:
    head = b"POST /half HTTP/1.1\r\nHost: %s\r\nContent-Length: 12\r\n\r\n" % NAME.encode()
    with nginx.connect(address) as half:
        half.sendall(head + b"half")
        for _ in range(5):
            nginx.ask("POST", "/other", b"other", address=new_address())
        assert "/half" not in echo.reached
        half.sendall(b", whole.")
        assert half.recv(100).startswith(b"HTTP/1.1 200")
    assert "/half" in echo.reached


def test_too_many_requests_from_one_address_are_refused_and_no_others(
    nginx: Nginx, address: str
) -> None:
    """1,000 in a row are more than 200 at once and 50 a second."""
    with nginx.connect(address) as connection:
        connection.sendall(b"GET /api/v1/ HTTP/1.1\r\nHost: %s\r\n\r\n" % NAME.encode() * 900)
        connection.sendall(b"GET / HTTP/1.0\r\nHost: %s\r\n\r\n" % NAME.encode())
        answers = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert 0 < answers.count(b"HTTP/1.1 429 ") < 900
    assert b'"code": "throttled"' in answers
    assert b"\r\nRetry-After: 1\r\n" in answers
    assert nginx.ask("GET", "/", address=new_address())[0] == 200


def test_too_many_connections_from_one_address_are_refused_and_no_others(
    nginx: Nginx, address: str
) -> None:
    begun = b"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 9\r\n\r\n" % NAME.encode()
    held: list[ssl.SSLSocket] = []

    def is_refused_beside(count: int) -> bool:
        for _ in range(count):
            held.append(nginx.connect(address))
            held[-1].sendall(begun)
        return nginx.ask("GET", "/", address=address)[0] == 429

    try:
        if not is_refused_beside(100):
            # Each is counted once its head has been read, until its body is late (10 s): on a busy
            # machine the first are gone when the last one comes.
            wait_until(lambda: is_refused_beside(1), "one too many", 120)
        assert nginx.ask("GET", "/", address=new_address())[0] == 200
    finally:
        for connection in held:
            connection.close()


@pytest.mark.parametrize(
    ("body", "status", "code"), [(b"x" * (LIMIT + 1), 413, "too_large"), (b"", 503, "unavailable")]
)
def test_what_nginx_refuses_under_api_is_in_the_apis_form(
    body: bytes, status: int, code: str, address: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with nginx_before(port) as nginx:  # and nobody listens there
        found, headers, content = nginx.ask("POST", "/api/v1/x/", body, address=address)
    assert (found, headers["Content-Type"]) == (status, "application/json")
    assert [error["code"] for error in json.loads(content)["errors"]] == [code]


def test_another_name_gets_no_answer(nginx: Nginx) -> None:
    with (
        pytest.raises(OSError, match="unrecognized name"),
        nginx.context.wrap_socket(
            socket.create_connection(("127.0.0.1", nginx.port)), server_hostname="evil.example"
        ),
    ):
        pass
    plain = f"http://127.0.0.1:{nginx.plain_port}/"
    assert status_of(plain, Host="evil.example") is None


def test_its_workers_end_with_it() -> None:
    with nginx_before(free_port()) as alone:
        assert alone.process is not None
        pid = alone.process.pid
        workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert workers
    wait_until(lambda: not any(Path("/proc", one).exists() for one in workers), "they have ended")
