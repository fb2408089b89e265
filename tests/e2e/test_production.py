"""Postlog as README says for production: behind nginx, with deploy/nginx.conf."""

import base64
import gzip
import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from messaging.projections.registry import PROJECTIONS
from tests.support import slow
from tests.support.api import person
from tests.support.clone import fresh_clone
from tests.support.consuming import consume_all
from tests.support.modes import fresh_mode
from tests.support.nginx import NAME, Nginx, new_address, nginx_before
from tests.support.processes import manage
from tests.support.procfile import ProcfileWeb
from tests.support.relaying import publish_all
from tests.support.web import status_of

pytestmark = pytest.mark.skipif(
    Nginx.program() is None, reason="nginx (or openssl) is missing and cannot be had here"
)
RATE = 30
NEW_POST, EDIT = "/api/v1/commands/new-post/", "/api/v1/commands/edit-message/"
FIND, ALL_POSTS = "/api/v1/queries/find-post-by-id/", "/api/v1/queries/find-all-posts/"


class Production:
    def __init__(self, web: ProcfileWeb, nginx: Nginx) -> None:
        self.web, self.nginx = web, nginx

    def ask(self, method: str, path: str, content: Any = None, **headers: str) -> Any:
        """As JSON, from an address that nobody else has."""
        body = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json", **headers}
        return self.nginx.ask(method, path, body, headers, address=new_address())

    def live(self) -> int:
        return int(self.ask("GET", "/health/live")[0])


@pytest.fixture(scope="module")
def production(
    django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Production]:
    """As README says: DEBUG off, files collected, one proxy that is trusted."""
    fresh = fresh_mode("sqlite", "embedded", tmp_path_factory.mktemp("production"))
    with fresh_clone() as clone, django_db_blocker.unblock(), fresh as mode:
        env = {**mode.env, "DEBUG": "off", "SECRET_KEY": "for-this-test-only" * 3}
        env |= {"ALLOWED_HOSTS": NAME, "TRUSTED_PROXIES": "1", "API_RATE": str(RATE)}
        env |= {"CORS_ALLOWED_ORIGINS": "https://elsewhere.example"}
        done = manage(env, "collectstatic", "--noinput", folder=clone)
        assert done.returncode == 0, done.stderr
        with ProcfileWeb(env, clone) as web, nginx_before(web.port) as nginx:
            yield Production(web, nginx)


def test_the_site_answers_within_a_second_during_an_attack(production: Production) -> None:
    """From as many addresses as connections, so that no limit by address spares it anything."""
    nginx = production.nginx
    asks = (production.web.live, production.live)
    quiet = [slow.answers(ask) for ask in asks]
    with slow.Attack(lambda: nginx.connect(new_address()), slow.ALL, NAME) as attack:
        during = [slow.answers_meanwhile(attack, ask) for ask in asks]
    for before, meanwhile in zip(quiet, during, strict=True):
        # A machine that is busy with other things is slow without an attack, too.
        assert meanwhile < max(slow.PROMISED_S, slow.TIMES_QUIET * before)


def test_plain_http_is_sent_to_https(production: Production) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", production.nginx.plain_port)
    connection.request("GET", "/people/alice/?a=1", headers={"Host": NAME})
    answer = connection.getresponse()
    connection.close()
    assert answer.status == 301
    assert answer.headers["Location"] == f"https://{NAME}/people/alice/?a=1"


def test_browsers_are_told_to_come_over_https_only(production: Production) -> None:
    status, headers, _ = production.ask("GET", "/accounts/login/")
    assert (status, headers["Strict-Transport-Security"]) == (200, "max-age=31536000")
    assert "Secure" in headers["Set-Cookie"]


def test_pages_with_secrets_are_not_compressed(production: Production) -> None:
    """As in BREACH. A page that has none is, and nginx lets it pass as it is."""
    taken = {"Accept-Encoding": "gzip"}
    _, headers, body = production.ask("GET", "/accounts/login/", **taken)
    assert (headers["Content-Encoding"], b"csrfmiddlewaretoken" in body) == (None, True)
    _, headers, body = production.ask("GET", "/", **taken)
    assert (headers["Content-Encoding"], b"<html" in gzip.decompress(body)) == ("gzip", True)
    status, headers, _ = production.ask("GET", "/", **taken, **{"If-None-Match": headers["ETag"]})
    assert (status, headers["Content-Encoding"]) == (304, None)


def test_what_fails_inside_is_not_told_outside(production: Production) -> None:
    assert production.ask("GET", "/health/ready")[0] == 404
    assert status_of(f"http://127.0.0.1:{production.web.port}/health/ready") in (200, 503)


def test_signing_in_and_every_header_of_a_command_work(production: Production) -> None:
    user = person("dora")
    user.password = PBKDF2PasswordHasher().encode("a long password", "salt")  # not the tests' own
    user.save()
    basic = base64.b64encode(b"dora:a long password").decode()
    status, _, body = production.ask("POST", "/api/v1/auth/token/", Authorization=f"Basic {basic}")
    assert status == 200
    token = f"Token {json.loads(body)['token']}"
    command = {"Authorization": token, "Idempotency-Key": "a-key-of-mine"}
    status, headers, body = production.ask("POST", NEW_POST, {"message": "Hi"}, **command)
    assert status == 201
    assert production.ask("POST", NEW_POST, {"message": "Hi"}, **command)[2] == body
    post_id = json.loads(body)["post_id"]
    edit = {"post_id": post_id, "message": "Ho"}
    for etag, expected in (('"7"', 412), (headers["ETag"], 200)):
        found = production.ask("POST", EDIT, edit, Authorization=token, **{"If-Match": etag})
        assert found[0] == expected
    for projection in PROJECTIONS.values():
        publish_all()
        consume_all(projection)
    consistency = json.loads(found[2])["consistency_token"]
    path = f"{FIND}?post_id={post_id}"
    status, headers, body = production.ask("GET", path, **{"Consistency-Token": consistency})
    assert (status, json.loads(body)["message"]) == (200, "Ho")
    status, _, body = production.ask("GET", path, **{"If-None-Match": headers["ETag"]})
    assert (status, body) == (304, b"")
    wrong = production.ask("GET", path, **{"Consistency-Token": "nonsense"})
    assert wrong[0] == 400, "it is read"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("https://elsewhere.example", "https://elsewhere.example"), ("https://evil.example", None)],
)
def test_pages_of_other_sites_may_ask_where_they_are_let(
    production: Production, origin: str, allowed: str | None
) -> None:
    asks = {"Access-Control-Request-Method": "POST"}
    asks["Access-Control-Request-Headers"] = "authorization, if-match"
    _, headers, _ = production.ask("OPTIONS", NEW_POST, Origin=origin, **asks)
    assert headers["Access-Control-Allow-Origin"] == allowed
    _, headers, _ = production.ask("GET", "/api/v1/", Origin=origin)
    assert headers["Access-Control-Allow-Origin"] == allowed


def test_nobody_gets_out_of_a_limit_by_naming_another_address(production: Production) -> None:
    address, left = new_address(), []
    for n in range(20):
        spoofed = {"X-Forwarded-For": f"6.6.6.{n}", "X_Forwarded_For": f"6.6.6.{n}"}
        _, headers, _ = production.nginx.ask("GET", ALL_POSTS, None, spoofed, address=address)
        left.append(int(headers["RateLimit-Remaining"]))
    # Two processes count, each by the minute: five are of one process and one minute.
    assert min(left) <= RATE - 5
