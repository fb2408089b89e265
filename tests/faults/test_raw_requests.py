"""What no library sends is answered as a fault of the client, or as if nothing were odd about it.

Over sockets, because Django's test client cannot say it. `None`: the connection ends without an
answer, which is all that HTTP/1 can say to what is no request.
"""

import pytest

from tests.support.procfile import ProcfileWeb

JSON = b"Content-Type: application/json\r\n"
CLOSE = b"Connection: close\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
TWO = b"{}"
IN_CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"


def get(path: bytes, *headers: bytes, version: bytes = b"1.1") -> bytes:
    lines = b"".join((b"Host: localhost\r\n", *headers, CLOSE))
    return b"GET %s HTTP/%s\r\n%s\r\n" % (path, version, lines)


def post(*headers: bytes, body: bytes = TWO) -> bytes:
    """A command by nobody: 401 once its body was read."""
    lines = b"".join((b"Host: localhost\r\n", JSON, *headers, CLOSE))
    return b"POST /api/v1/commands/new-post/ HTTP/1.1\r\n%s\r\n%s" % (lines, body)


def typed(content_type: bytes) -> bytes:
    return post(b"Content-Length: 2\r\n").replace(JSON, b"Content-Type: %s\r\n" % content_type)


LIVE = b"/health/live"
SWITCH = b"Connection: Upgrade\r\nUpgrade: %s\r\n"
REQUESTS: dict[str, tuple[bytes, int | None]] = {
    # the length of a body
    "the same length twice": (post(b"Content-Length: 2\r\n" * 2), 401),
    "two lengths": (post(b"Content-Length: 2\r\nContent-Length: 3\r\n", body=b"{} "), 400),
    "a list of lengths": (post(b"Content-Length: 2, 2\r\n"), 400),
    "a negative length": (post(b"Content-Length: -2\r\n"), 400),
    "a length with a sign": (post(b"Content-Length: +2\r\n"), 400),
    "a length in hexadecimal digits": (post(b"Content-Length: 0x2\r\n"), 400),
    "a word as length": (post(b"Content-Length: two\r\n"), 400),
    "an empty length": (post(b"Content-Length: \r\n"), 400),
    "a length beyond 64 bits": (post(b"Content-Length: %d\r\n" % 10**26), 400),
    "a length of terabytes": (post(b"Content-Length: %d\r\n" % 10**13), 401),
    "no length": (post(body=b""), 401),
    # chunks
    "a length with chunks": (post(CHUNKED, b"Content-Length: 9\r\n", body=IN_CHUNKS), 401),
    "chunks within gzip": (post(b"Transfer-Encoding: gzip, chunked\r\n", body=IN_CHUNKS), 401),
    "another encoding": (post(b"Transfer-Encoding: identity\r\n"), 400),
    "an unknown encoding": (post(b"Transfer-Encoding: x\r\n"), 400),
    "a chunk of no size": (post(CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"), 400),
    "a chunk of a size beyond 64 bits": (post(CHUNKED, body=b"f" * 17 + b"\r\n{}\r\n"), 400),
    "a chunk longer than its size": (post(CHUNKED, body=b"1\r\n{}\r\n0\r\n\r\n"), 400),
    "an extension of a chunk": (post(CHUNKED, body=b"2;a=b\r\n{}\r\n0\r\n\r\n"), 401),
    "a trailer": (post(CHUNKED, body=b"2\r\n{}\r\n0\r\nX: y\r\n\r\n"), 401),
    # the first line
    "HTTP/1.0": (get(LIVE, version=b"1.0"), 200),
    "HTTP/1.9": (get(LIVE, version=b"1.9"), 400),
    "HTTP/2 without TLS": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None),
    "a TLS handshake": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 40, 400),
    "an absolute address": (get(b"http://localhost/health/live"), 200),
    "an absolute address of another": (get(b"http://evil.example/health/live"), 200),
    "an asterisk": (get(b"*"), 404),
    "a broken escape": (get(b"/%zz%00%ff?%zz"), 404),
    "bytes in a path": (get(b"/\xff\xfe"), 400),
    "two slashes": (get(b"//evil.example/"), 404),
    "a path of dots": (get(b"/static/../manage.py"), 404),
    "a path of escaped dots": (get(b"/static/%2e%2e/manage.py"), 404),
    "a path of 60,000 characters": (get(b"/" + b"x" * 60_000), 404),
    "a method of its own": (b"FOO / HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n", 403),
    "a tunnel": (b"CONNECT a:80 HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n", 403),
    "no first line": (b"\0\0\0\0\r\n\r\n", 400),
    # headers
    "no host": (b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n", 400),
    "two hosts": (get(b"/", b"Host: evil.example\r\n"), 400),
    "300 headers": (get(LIVE, *(b"X-%d: y\r\n" % i for i in range(300))), 431),
    "a charset of bytes": (get(b"/?a=%80", b"Content-Type: text/plain; charset=base64\r\n"), 200),
    "a charset that cannot be had": (get(b"/?a=%80", b"Content-Type: a/b; charset=idna\r\n"), 200),
    "a charset of NUL": (get(LIVE, b"Content-Type: a/b; charset*=utf-8''%00\r\n"), 200),
    "a parameter in no charset": (get(LIVE, b"Content-Type: a/b; x*=none''%80\r\n"), 200),
    "a body in no charset": (typed(b"application/json; x*=none''%80"), 401),
    "a body in a charset of bytes": (typed(b"application/json; charset=hex"), 401),
    "bytes in a header": (get(LIVE, b"X: \xff\xfe\r\n"), 200),
    "NUL in a header": (get(LIVE, b"X: \0\r\n"), 400),
    "a space before the colon": (get(LIVE, b"X : y\r\n"), 400),
    "a folded header": (get(LIVE, b"X: y\r\n z\r\n"), 400),
    "a header without a name": (get(LIVE, b": y\r\n"), 400),
    "names with underscores": (get(LIVE, b"Content_Length: 9\r\nTransfer_Encoding: x\r\n"), 200),
    "two cookies": (get(b"/", b"Cookie: a=1\r\nCookie: b=2\r\n"), 200),
    "a body that nobody asked for": (get(LIVE, b"Content-Length: 2\r\n") + TWO, 200),
    "an offer of HTTP/2": (get(LIVE, SWITCH % b"h2c", b"HTTP2-Settings: AAMAAABk\r\n"), 200),
    "an offer of a web socket": (get(LIVE, SWITCH % b"websocket"), 200),
    "an expectation that it cannot meet": (get(LIVE, b"Expect: 200-ok\r\n"), 200),
}


@pytest.mark.parametrize(("request_", "status"), REQUESTS.values(), ids=REQUESTS.keys())
def test_a_raw_request_is_answered(site: ProcfileWeb, request_: bytes, status: int | None) -> None:
    answer = site.send(request_)
    found = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else None
    assert found == status, answer[:300]


def test_two_requests_at_once_are_answered_in_order(site: ProcfileWeb) -> None:
    first = get(LIVE).replace(CLOSE, b"")
    answer = site.send(first + get(b"/nowhere"))
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404"]
