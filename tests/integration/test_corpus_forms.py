"""The corpus of bad input, sent by the forms of the pages."""

from html import unescape
from typing import Any
from urllib.parse import unquote

import pytest
from django.conf import settings
from django.test import Client

from tests.support.api import FORM, browser
from tests.support.corpus import Case, cases, written_out
from tests.support.corpus_world import Findings, make_world
from tests.support.modes import Mode
from web import counters

pytestmark = pytest.mark.usefixtures("quiet")


def test_bad_forms_are_answered_as_the_corpus_has_it(database: Mode) -> None:
    make_world()
    found, sender = Findings(), Sender()
    for case in (all_cases := cases("form")):
        counters._local._windows.clear()  # so that no case is refused for the ones before it
        answer = sender(case)
        found.compare(case, *compared(case, answer))
        found.look_at_the_store(case, answer.status_code)
    found.require_none(of=len(all_cases))


class Sender:
    """Sends forms from new browsers, in which people are signed in already."""

    def __init__(self) -> None:
        self._sessions: dict[str, str] = {}

    def __call__(self, case: Case) -> Any:
        csrf = case.options.get("csrf") == "on"
        client = Client(raise_request_exception=False, enforce_csrf_checks=csrf)
        if (name := case.options.get("as", "alice")) != "nobody":
            client.cookies[settings.SESSION_COOKIE_NAME] = self._session_of(name)
        headers = {"HX-Request": "true"} if case.options.get("fragment") == "on" else {}
        kind = case.options.get("type", FORM)
        return client.generic("POST", case.target, case.raw(), kind, headers=headers)

    def _session_of(self, name: str) -> str:
        if name not in self._sessions:
            self._sessions[name] = browser(name).cookies[settings.SESSION_COOKIE_NAME].value
        return self._sessions[name]


def compared(case: Case, answer: Any) -> tuple[str, str]:
    """The status with what the page shows, or where it leads to, if the corpus says so."""
    expected = written_out(case.expected)
    status, _, shown = expected.partition(" ")
    if not shown:
        return status, str(answer.status_code)
    if str(answer.status_code) != status:
        return expected, f"{answer.status_code} {answer.get('Location', '')}"
    if "Location" in answer.headers:
        return expected, f"{status} {unquote(answer['Location'])}".rstrip()
    page = " ".join(unescape(answer.content.decode()).split())
    return expected, expected if shown in page else f"{status} {messages_of(page)}"


def messages_of(page: str) -> str:
    """From where a page says what is wrong, so that a failure tells it."""
    at = max(page.find('class="error'), page.find("errorlist"), page.find("<h1"))
    return page[at : at + 200]
