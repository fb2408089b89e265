"""The corpus of bad input is what it says: many cases, none twice, and of everything some."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields

from django.urls import resolve

from accounts.urls import urlpatterns as account_pages
from config.pages import urlpatterns as pages
from messaging.message import COMMANDS, EVENTS, QUERIES
from tests.support.corpus import KINDS, Case, cases, written_out

LEAST = 1_500
ALL = {kind: cases(kind) for kind in KINDS}


def more_than_once(found: Iterable[object]) -> list[object]:
    return [one for one, count in Counter(found).items() if count > 1]


def kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def targets(kind: str) -> set[str]:
    return {case.target for case in ALL[kind]}


def told(kind: str, target: str) -> set[str]:
    """Every word of what is expected of the cases that are sent to the target."""
    found = (case.expected for case in ALL[kind] if case.target == target)
    return {word for expected in found for word in re.split(r"[ ,]+", expected)}


def test_there_are_1500_cases_and_none_is_there_twice() -> None:
    assert sum(map(len, ALL.values())) >= LEAST
    for kind, found in ALL.items():
        inputs = ((one.target, *one.options.items(), one.written) for one in found)
        assert more_than_once(inputs) == [], kind
        assert more_than_once(map(str, found)) == [], kind


def test_every_case_says_what_it_is_and_what_becomes_of_it() -> None:
    for one in (case for found in ALL.values() for case in found):
        assert one.name, one
        assert one.expected, one
        assert one.target, one


def test_no_fault_of_the_server_is_expected() -> None:
    for kind in ("command", "query", "header", "path", "form"):
        for case in ALL[kind]:
            assert 200 <= int(case.expected.split(" ")[0]) < 500, case


def test_every_command_occurs_and_each_of_its_fields_is_wrong_once() -> None:
    assert targets("line") == set(COMMANDS)
    assert targets("command") == {kebab(name) for name in COMMANDS} | {"restore-read-db"}
    for name, command in COMMANDS.items():
        assert {field.name for field in fields(command)} <= told("command", kebab(name)), name


def test_every_query_occurs_and_each_of_its_parameters_is_wrong_once() -> None:
    assert targets("query") == {kebab(name) for name in QUERIES}
    for name, query in QUERIES.items():
        assert {field.name for field in fields(query)} <= told("query", kebab(name)), name


def test_every_event_occurs_and_each_field_of_its_payload_is_wrong_once() -> None:
    assert targets("record") == set(EVENTS)
    for name, event in EVENTS.items():
        refused = [c for c in ALL["record"] if c.target == name and c.expected != "applied"]
        changed = {word for case in refused for word in re.findall(r"data\.(\w+)", case.written)}
        assert {field.name for field in fields(event)} <= changed, name


def test_every_page_occurs_that_takes_a_form_and_the_others_take_none() -> None:
    read_only = [c for c in ALL["path"] if c.target == "POST" and c.expected == "405"]
    shown = {resolve(written_out(case.written)).url_name for case in read_only}
    sent = {page_of(case) for case in ALL["form"]}
    assert sent >= {page.name for page in [*pages, *account_pages]} - shown


def page_of(case: Case) -> str | None:
    return resolve(case.target).url_name
