"""The policy of content is made once, and is the one that django-csp makes each time."""

from collections.abc import Callable
from typing import Any

import pytest
from csp.constants import HEADER, HEADER_REPORT_ONLY, NONCE
from csp.decorators import csp_exempt, csp_update
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

from web import middleware
from web.middleware import ContentPolicy

View = Callable[[HttpRequest], HttpResponse]


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("x")


def missing(request: HttpRequest) -> HttpResponse:
    return HttpResponse("x", status=404)


def with_a_policy(request: HttpRequest) -> HttpResponse:
    return HttpResponse("x", headers={HEADER: "default-src 'self'"})


@csp_update({"style-src": ["'unsafe-inline'"]})
def updated(request: HttpRequest) -> HttpResponse:
    return HttpResponse("x")


@csp_exempt()
def exempt(request: HttpRequest) -> HttpResponse:
    return HttpResponse("x")


def with_a_nonce(request: Any) -> HttpResponse:
    request._csp_nonce = "abc"
    return HttpResponse("x")


def policies(kind: type[Any], view: View) -> dict[str, str | None]:
    answer = kind(view)(RequestFactory().get("/"))
    return {name: answer.headers.get(name) for name in (HEADER, HEADER_REPORT_ONLY)}


OTHERS = {
    "as it is": {},
    "debug": {"DEBUG": True},
    "another": {"CONTENT_SECURITY_POLICY": {"DIRECTIVES": {"default-src": ["'self'"]}}},
    "nonces": {"CONTENT_SECURITY_POLICY": {"DIRECTIVES": {"script-src": [NONCE]}}},
    "reported": {"CONTENT_SECURITY_POLICY_REPORT_ONLY": {"DIRECTIVES": {"img-src": ["x.org"]}}},
    "elsewhere": {
        "CONTENT_SECURITY_POLICY": {
            "EXCLUDE_URL_PREFIXES": ["/"],
            "DIRECTIVES": {"default-src": ["'self'"]},
        }
    },
}


@pytest.mark.parametrize("view", [plain, missing, with_a_policy, updated, exempt, with_a_nonce])
@pytest.mark.parametrize("changed", OTHERS.values(), ids=OTHERS.keys())
def test_each_answer_has_the_policy_that_django_csp_gives_it(
    view: View, changed: dict[str, Any]
) -> None:
    policies(ContentPolicy, plain)
    with override_settings(**changed):
        assert policies(ContentPolicy, view) == policies(CSPMiddleware, view)


def test_the_policy_of_all_answers_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = ContentPolicy(plain)
    first = policy(RequestFactory().get("/")).headers[HEADER]
    monkeypatch.setattr(middleware, "build_policy", lambda: pytest.fail("it is made already"))
    assert policy(RequestFactory().get("/")).headers[HEADER] == first
    assert "default-src 'none'" in first
    assert "web.middleware.ContentPolicy" in settings.MIDDLEWARE


def test_other_settings_make_another_policy() -> None:
    policy = ContentPolicy(plain)
    first = policy(RequestFactory().get("/")).headers[HEADER]
    with override_settings(**OTHERS["another"]):
        assert policy(RequestFactory().get("/")).headers[HEADER] == "default-src 'self'"
    assert policy(RequestFactory().get("/")).headers[HEADER] == first
