"""The corpus of bad input, sent to the API: commands, queries, headers and addresses."""

from typing import Any

import pytest

from tests.support.api import COMMANDS, HTML, QUERIES, Api, person
from tests.support.corpus import Case, cases
from tests.support.corpus_world import (
    Findings,
    as_expected,
    in_words,
    make_world,
)
from tests.support.modes import Mode
from web import counters

pytestmark = pytest.mark.usefixtures("quiet")
JSON = "application/json"


class People:
    """Clients of the people of the corpus, signed in by token."""

    def __init__(self, by_default: str = "alice") -> None:
        self._by_default = by_default
        self._known: dict[str, Api] = {}

    def __call__(self, case: Case) -> Api:
        name = case.options.get("as", self._by_default)
        if name not in self._known:
            self._known[name] = Api(None if name == "nobody" else name)
        return self._known[name]


def judge(found: Findings, case: Case, answer: Any) -> None:
    came = in_words(answer)
    found.compare(case, as_expected(case, came), came)
    found.look_at_the_store(case, answer.status_code)


def test_bad_commands_are_refused_as_the_corpus_has_it(database: Mode) -> None:
    make_world()
    people, found = People(), Findings()
    for case in (all_cases := cases("command")):
        path, kind = f"{COMMANDS}/{case.target}/", case.options.get("type", JSON)
        api, body = people(case), case.raw()
        answer = api.post(path, body, kind)
        judge(found, case, answer)
        if rendered(database):
            page = api.post(path, body, kind, accept=HTML)
            judge_page(found, case, page)
            found.compare_also(case, "text/html; charset=utf-8", page.headers["Content-Type"])
    found.require_none(of=len(all_cases))


def rendered(mode: Mode) -> bool:
    """Pages take longer than all the rest, and are the same whatever the database is."""
    return mode.vendor == "sqlite"


def judge_page(found: Findings, case: Case, page: Any) -> None:
    """A browser gets the same status."""
    found.compare_also(case, int(case.expected.split()[0]), page.status_code)
    found.look_at_the_store(case, page.status_code)


def test_bad_queries_are_refused_as_the_corpus_has_it(database: Mode) -> None:
    make_world()
    people, found = People("nobody"), Findings()
    for case in (all_cases := cases("query")):
        api = people(case)
        path, query = f"{QUERIES}/{case.target}/", case.raw().decode("latin-1")
        answer = api.client.generic("GET", path, QUERY_STRING=query, headers=api.headers)
        judge(found, case, answer)
        if rendered(database):
            headers = {**api.headers, "Accept": HTML}
            page = api.client.generic("GET", path, QUERY_STRING=query, headers=headers)
            judge_page(found, case, page)
    found.require_none(of=len(all_cases))


def test_bad_headers_are_answered_as_the_corpus_has_it(database: Mode) -> None:
    make_world()
    people, found = People(), Findings()
    for case in (all_cases := cases("header")):
        counters._local._windows.clear()  # so that no case is refused for the ones before it
        headers = {**people(case).headers, "Accept": JSON, **sent_headers(case)}
        kind = headers.pop("Content-Type", JSON)
        answer = Api().client.generic(
            case.options.get("method", "POST"),
            case.target,
            case.options.get("body", ""),
            kind,
            headers={name: value for name, value in headers.items() if value != "(none)"},
        )
        judge(found, case, answer)
    found.require_none(of=len(all_cases))


def sent_headers(case: Case) -> dict[str, str]:
    """As a server hands them on: each byte is a character."""
    lines = case.raw().decode("latin-1").split(" ;; ")
    return {name: value for name, _, value in (line.partition(": ") for line in lines)}


def test_bad_addresses_are_answered_as_the_corpus_has_it(database: Mode) -> None:
    make_world()
    found = Findings()
    for case in (all_cases := cases("path")):
        client = Api().client
        if case.options.get("as"):
            client.force_login(person(case.options["as"]))
        path, _, query = case.raw().decode("latin-1").partition("?")
        answer = client.generic(case.target, path, QUERY_STRING=query, headers={"Accept": JSON})
        judge(found, case, answer)
    found.require_none(of=len(all_cases))
