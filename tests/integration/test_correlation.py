"""Headers that say what led to a command: they stand in its events, and go out in the answer."""

import json
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from messaging.eventstore.models import Event
from tests.support.api import COMMANDS, HTML, Api, browser, errors, person
from tests.support.modes import Mode

CORRELATION, CAUSATION = (
    "0a0b0c0d-0000-4000-8000-000000000001",
    "0a0b0c0d-0000-4000-8000-000000000002",
)
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
HEADERS = {"Correlation-Id": CORRELATION, "Causation-Id": CAUSATION, "traceparent": TRACEPARENT}


def send(api: Api, headers: dict[str, str], command: str = "new-post", **fields: Any) -> Any:
    body = json.dumps(fields or {"message": "a"})
    headers = {**api.headers, **headers}
    return api.client.generic(
        "POST", f"{COMMANDS}/{command}/", body, "application/json", headers=headers
    )


def test_the_headers_stand_in_every_event_and_go_out_in_the_answer(database: Mode) -> None:
    alice = Api("alice")
    for message in ("one", "two"):
        answer = send(alice, HEADERS, message=message)
        assert answer.status_code == 201
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    for event in Event.objects.all():
        assert (str(event.correlation_id), str(event.causation_id)) == (CORRELATION, CAUSATION)
        assert event.traceparent == TRACEPARENT


def test_without_headers_a_conversation_and_a_trace_begin(database: Mode) -> None:
    answer = send(Api("alice"), {})
    event = Event.objects.get()
    assert event.correlation_id == event.command_id == UUID(answer.headers["Correlation-Id"])
    assert event.causation_id is None
    assert "Causation-Id" not in answer.headers
    assert event.traceparent == answer.headers["traceparent"]
    assert len(event.traceparent) == 55


def test_a_malformed_trace_is_ignored_and_a_new_one_begins(database: Mode) -> None:
    sent = f"00-{TRACE.upper()}-b7ad6b7169203331-01"
    answer = send(Api("alice"), {"traceparent": sent})
    assert answer.status_code == 201
    event = Event.objects.get()
    assert event.traceparent == answer.headers["traceparent"]
    assert TRACE not in event.traceparent.lower()


@pytest.mark.parametrize("name", ["Correlation-Id", "Causation-Id"])
def test_an_id_that_is_none_is_400_and_nothing_is_stored(database: Mode, name: str) -> None:
    answer = send(Api("alice"), {**HEADERS, name: "order-7"})
    assert (answer.status_code, errors(answer)) == (400, [("invalid", name)])
    assert Event.objects.count() == 0


def test_a_refusal_says_to_which_conversation_it_belongs(database: Mode) -> None:
    alice = Api("alice")
    for fields in ({"message": " "}, {"message": 5}, {"text": "a"}):
        answer = send(alice, HEADERS, **fields)
        assert answer.status_code == 400
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_the_first_answer_again_names_the_conversation_of_the_first(database: Mode) -> None:
    alice, key = Api("alice"), {"Idempotency-Key": "once"}
    first = send(alice, key)
    again = send(alice, {**key, **HEADERS})
    assert first.json() == again.json()
    assert first.headers["Correlation-Id"] == again.headers["Correlation-Id"]
    assert str(Event.objects.get().correlation_id) == first.headers["Correlation-Id"]


def test_a_form_carries_the_same_into_its_events(database: Mode) -> None:
    client = Client()
    client.force_login(person("alice"))
    answer = client.post("/write/", {"text": "a"}, headers=HEADERS)
    assert answer.status_code == 302
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    event = Event.objects.get()
    assert (str(event.correlation_id), str(event.causation_id)) == (CORRELATION, CAUSATION)
    assert event.traceparent == TRACEPARENT


def test_a_form_says_which_conversation_began(sqlite: Mode) -> None:
    client = Client()
    client.force_login(person("alice"))
    answer = client.post("/write/", {"text": "a"})
    event = Event.objects.get()
    assert answer.headers["Correlation-Id"] == str(event.correlation_id)
    assert answer.headers["traceparent"] == event.traceparent


@pytest.mark.parametrize(
    ("address", "status"), [("/write/", 422), (f"/posts/{CORRELATION}/delete/", 404)]
)
def test_a_refused_form_says_to_which_conversation_it_belongs(
    sqlite: Mode, address: str, status: int
) -> None:
    client = Client()
    client.force_login(person("alice"))
    answer = client.post(address, {"text": " "}, headers=HEADERS)
    assert answer.status_code == status
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_a_form_of_the_browsable_api_does_so_too(sqlite: Mode) -> None:
    api = Api("alice")
    headers = {**api.headers, **HEADERS, "Accept": HTML}
    for body, status in (("message=a", 201), ("message=+", 400)):
        address, kind = f"{COMMANDS}/new-post/", "application/x-www-form-urlencoded"
        answer = api.client.generic("POST", address, body, kind, headers=headers)
        assert (answer.status_code, answer.headers["Content-Type"][:9]) == (status, "text/html")
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_other_sites_may_send_and_read_them(sqlite: Mode, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example"]
    asked = browser("alice").options(
        f"{COMMANDS}/new-post/",
        headers={
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": ", ".join(HEADERS).lower(),
        },
    )
    allowed = asked.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {name.lower() for name in HEADERS} <= set(allowed)
    answer = send(Api("alice"), {"Origin": "https://shop.example"})
    assert set(HEADERS) <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))
