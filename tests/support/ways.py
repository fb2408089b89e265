"""A request sent by the short way and by the long way, and what of the answers may differ."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from unittest import mock
from zlib import crc32

from django.test import Client
from hypothesis import strategies as st
from rest_framework.views import APIView

from messaging.api import short_way
from messaging.projections.serving import consistency_token
from web import counters

ID = "01a20892-7c3e-7d41-9f56-3a1b2c4d5e6f"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ANY_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ANY_TOKEN = re.compile(r'(?<=consistency_token":")[^"]+')


class Sent(NamedTuple):
    """`{post}` and `{token}` in it are of whoever sends it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    content_type: str
    body: bytes


@contextmanager
def long_way() -> Iterator[None]:
    with mock.patch.object(short_way, "_answer", return_value=None):
        yield


@contextmanager
def no_long_way() -> Iterator[None]:
    """Whoever reaches REST framework's view fails."""
    with mock.patch.object(APIView, "initialize_request", side_effect=AssertionError("long")):
        yield


def answered(sent: Sent, **values: str) -> tuple[int, str, dict[str, str]]:
    """The status, the body and the headers, without what differs each time."""
    counters._local._windows.clear()
    client = Client(raise_request_exception=False)

    def filled(text: str) -> str:
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    body = sent.body
    for name, value in values.items():
        body = body.replace(f"{{{name}}}".encode(), value.encode())
    answer = client.generic(
        sent.method, filled(sent.path), body, sent.content_type,
        QUERY_STRING=filled(sent.query),
        headers={name: filled(value) for name, value in sent.headers.items()},
    )  # fmt: skip
    is_page = answer.headers.get("Content-Type", "").startswith("text/html")
    if is_page:  # of either way the view's, and each with another secret
        del answer.headers["Content-Length"]
        answer.headers.pop("ETag", None)
    text = "a page" if is_page else masked(answer.content.decode(), sent)
    return answer.status_code, text, {k: masked(v, sent, k) for k, v in answer.headers.items()}


def masked(text: str, sent: Sent, header: str = "") -> str:
    if header == "Consistency-Token":
        return versions(text)
    if header == "traceparent" and sent.headers.get("traceparent") != TRACE:
        return "a new one"
    if header == "Content-Security-Policy":
        return text
    text = ANY_TOKEN.sub(lambda found: versions(found[0]), text)
    return ANY_ID.sub(lambda found: found[0] if found[0] == ID else "an id", text)


def versions(token: str) -> str:
    return str([(one.stream_type, one.version) for one in consistency_token.read(token)])


# --- requests, from plain to odd -------------------------------------------------------------

POST_BODIES = [
    '{"post_id": "{post}"}', '{"post_id": "{post}", "message": "a"}', '{"message": "a"}',
    '{"post_id": "{post}", "message": ""}', '{"post_id": "{post}", "text": "a\\r\\nb"}',
    f'{{"post_id": "{ID}"}}', '{"post_id": "x"}', '{"post_id": 5}', '{"post_id": null}',
    '{"post_id": "{post}", "more": 1}', '{"post_id": "{post}", "post_id": "{post}"}', "", "{}",
    "[]", "null", "{", '{"a": NaN}', '{"post_id": "{post}"} ', "\ufeff{}", "post_id={post}",
    '{"post_id": "{post}", "text": "\\ud800"}', "[" * 40, '{"post_id": "{post}\\u0000"}',
    '{"message": "' + "x" * 3000 + '"}',
]  # fmt: skip
BODIES = st.sampled_from(
    [*(one.encode() for one in POST_BODIES), b"\xff{}", b'{"message": "\xff"}']
)
COMMANDS = [
    "like-post",
    "unlike-post",
    "edit-message",
    "add-comment",
    "new-post",
    "restore-read-db",
]
QUERIES = ["find-post-by-id", "find-all-posts", "find-comments", "find-my-posts", "find-person",
           "count-new-posts", "find-post-history", "find-posts"]  # fmt: skip
PATHS = st.one_of(
    st.sampled_from(COMMANDS).map(lambda name: f"/api/v1/commands/{name}/"),
    st.sampled_from(QUERIES).map(lambda name: f"/api/v1/queries/{name}/"),
    st.sampled_from([
        "/api/v1/", "/api/v1/queries/", "/api/v1/commands/like-post", "/api/v1/queries/none/",
        "/api/v2/queries/find-all-posts/", "/api/v1/queries/find-all-posts/x/",
        "/api/v1/queries/find-all-posts/%00/", "//api/v1/queries/find-all-posts/",
    ]),
)  # fmt: skip
PARAMETERS = st.sampled_from([
    "post_id={post}", "post_id={post}&post_id={post}", "post_id=x", f"post_id={ID}", "", "more=1",
    "page_size=1", "page_size=0", "page_size=1&cursor=x", "post_id={post}&page_size=1", "%ff",
    "username={name}", "format=json", "format=api", "consistency_token=x", "&&", "page_size=%31",
    "post_id={post}&consistency_token={seen}", "consistency_token={seen}&consistency_token={seen}",
    "a=%00", "post_id=%00",
])  # fmt: skip
ODD = {
    "Accept": ["*/*", "application/json", "application/json, text/plain, */*", "", "x", "text/html",
               "application/json; indent=4", "application/*;q=0.1", "application/xml", "*/*;q=0",
               "text/html, application/json;q=0.9", "x" * 300, "application/json;q=0.1, text/html"],
    "Authorization": ["Token {token}", "Token {token}", "Token {token}", "token {token}",
                      "  Token   {token} ", "Token {token}x", "Token {token} x", "Token", "Token x",
                      "", "Basic eA==", "Bearer {token}", "Token \xa0{token}", "Token {token}\xa0"],
    "Cookie": ["", "a=b", "sessionid=x", "csrftoken=!", "messages=x", "sessionid={session}"],
    "If-Match": ["*", '"v1"', '"v1", "v2"', "v1", 'W/"v1"', "", '"v999"'],
    "If-None-Match": ["*", '"v1"', '"v2"', "x", 'W/"v1"', '"v1", "v2", "v3"'],
    "If-Modified-Since": ["Sat, 28 Nov 2026 09:50:00 GMT", "x"],
    "If-Unmodified-Since": ["Sat, 28 Nov 2026 09:50:00 GMT"],
    "Idempotency-Key": ["{way}", "{way}", "{way}, {name}", "", "\xe9", "x" * 256],
    "Consistency-Token": ["{seen}", "x", ""],
    "Correlation-Id": [ID, "x", "", ID.upper()],
    "Causation-Id": [ID, "{}"],
    "traceparent": [TRACE, "x"],
    "Origin": ["https://friend.example", "https://other.example", "null", "http://["],
    "Host": ["testserver", "elsewhere.example", "localhost:99999"],
    "X-Forwarded-For": ["10.0.0.1", "x"],
    "X-HTTP-Method-Override": ["DELETE"],
    "Content-Length": ["", "0"],
    "Accept-Encoding": ["gzip"],
}  # fmt: skip
# Most have a token and nothing else that is odd, or few would come far.
HEADERS = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in ODD.items()}
).flatmap(lambda found: st.sampled_from([*(_some(found, n) for n in (1, 2, 3)), found]))
KINDS = st.sampled_from([
    *["application/json"] * 6, "application/json; charset=utf-8", "APPLICATION/JSON",
    "application/json;charset=latin-1", "application/x-www-form-urlencoded", "text/plain", "",
    "application/json;;",
    "multipart/form-data; boundary=x", "application/problem+json", "application/json; charset=x",
])  # fmt: skip


def _some(headers: dict[str, str], first: int) -> dict[str, str]:
    few = sorted(headers.items(), key=lambda one: crc32(f"{first}{one}".encode()))[:2]
    return {"Authorization": "Token {token}", **dict(few)}


def _with_a_method(path: str) -> st.SearchStrategy[str]:
    own = "POST" if "/commands/" in path else "GET"
    return st.sampled_from([*[own] * 8, "GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])


def _command(name: str, body: str) -> Sent:
    path = f"/api/v1/commands/{name}/"
    return Sent("POST", path, "", {}, "application/json", body.encode())


def _query(name: str, query: str) -> Sent:
    return Sent("GET", f"/api/v1/queries/{name}/", query, {}, "", b"")


PLAIN = [
    _command("like-post", '{"post_id": "{post}"}'),
    _command("unlike-post", '{"post_id": "{post}"}'),
    _command("edit-message", '{"post_id": "{post}", "message": "b"}'),
    _command("add-comment", '{"post_id": "{post}", "text": "a"}'),
    _command("new-post", '{"message": "a"}'),
    _query("find-post-by-id", "post_id={post}"),
    _query("find-all-posts", "page_size=1"),
    _query("find-my-posts", "consistency_token={seen}"),
]
TOKEN = {"Authorization": "Token {token}"}
CREATING = ("/api/v1/commands/new-post/", "/api/v1/commands/add-comment/")
# Requests that odd ones seldom come as far as, and what comes of them.
KNOWN = [
    *((one._replace(headers=TOKEN), 201 if one.path in CREATING else 200) for one in PLAIN),
    (PLAIN[5]._replace(headers={"If-None-Match": '"v1"'}), 304),
    (PLAIN[5]._replace(headers={"If-Match": '"v9"'}), 412),
    (PLAIN[5]._replace(query=f"post_id={ID}"), 404),
    (PLAIN[5]._replace(query="post_id=x"), 400),
    (PLAIN[0], 401),
    (PLAIN[0]._replace(headers={**TOKEN, "If-Match": '"v9"'}), 412),
    (PLAIN[0]._replace(headers={**TOKEN, "Accept": "application/xml"}), 406),
]
REQUESTS = st.one_of(
    st.builds(
        lambda sent, headers: sent._replace(headers=headers), st.sampled_from(PLAIN), HEADERS
    ),
    PATHS.flatmap(
        lambda path: st.builds(
            Sent, _with_a_method(path), st.just(path), PARAMETERS, HEADERS, KINDS, BODIES
        )
    ),
)
