"""What clients of an API expect beside its answers: keys, conditions, limits, other origins."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections
from django.test import override_settings
from jsonschema import Draft202012Validator

from contracts.posts import CommentAdded
from messaging.bus import current_bus
from messaging.codec import decode_envelope, encode_event
from messaging.eventstore.models import Event, Receipt
from messaging.message import EVENTS, utc_now
from messaging.projections.consuming import stalls
from messaging.projections.registry import PROJECTIONS
from messaging.workers.models import Heartbeat
from tests.support.api import COMMANDS, Api
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.readiness import ready
from tests.support.records import record_of
from tests.support.relaying import publish_all
from tests.support.settings import postlog


def send(api: Api, command: str, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    return api.client.post(
        f"{COMMANDS}/{command}/",
        json.dumps(fields),
        content_type="application/json",
        headers={**api.headers, **(headers or {})},
    )


def key(value: str) -> dict[str, str]:
    return {"Idempotency-Key": value}


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["code"]


# --- Idempotency-Key -------------------------------------------------------------------------


def test_the_same_request_gets_the_first_answer_again(database: Mode) -> None:
    alice = Api("alice")
    first = send(alice, "new-post", key("k1"), message="once")
    again = send(alice, "new-post", key("k1"), message="once")
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert first.status_code == 201
    assert Event.objects.count() == 1


def test_another_body_under_the_same_key_is_refused_and_harms_nothing(database: Mode) -> None:
    alice = Api("alice")
    first = send(alice, "new-post", key("k1"), message="once")
    assert code(send(alice, "new-post", key("k1"), message="other")) == (
        422,
        "idempotency_key_reused",
    )
    post_id = first.json()["post_id"]
    assert code(send(alice, "like-post", key("k1"), post_id=post_id))[0] == 422
    assert send(alice, "new-post", key("k1"), message="once").json() == first.json()
    assert Event.objects.count() == 1


def test_a_refusal_is_remembered_too(database: Mode) -> None:
    alice, post_id = Api("alice"), str(uuid4())
    assert code(send(alice, "like-post", key("k"), post_id=post_id)) == (404, "post_not_found")
    send(alice, "new-post", post_id=post_id, message="now it is there")
    assert code(send(alice, "like-post", key("k"), post_id=post_id)) == (404, "post_not_found")
    assert send(alice, "like-post", key("k2"), post_id=post_id).status_code == 200


def test_every_refusal_is_told_again_as_it_was(database: Mode) -> None:
    alice, bob = Api("alice"), Api("bob")
    post_id = send(alice, "new-post", message="a").json()["post_id"]
    stale = {"If-Match": '"v9"'}
    for number, (api, command, headers, fields) in enumerate(
        [
            (bob, "edit-message", {}, {"post_id": post_id, "message": "b"}),
            (alice, "edit-message", {}, {"post_id": post_id, "message": " "}),
            (alice, "like-post", stale, {"post_id": post_id}),
            (alice, "like-post", {}, {"post_id": str(uuid4())}),
        ]
    ):
        first, again = (send(api, command, headers | key(str(number)), **fields) for _ in "12")
        assert first.status_code == [403, 400, 412, 404][number]
        assert (again.status_code, again.json()) == (first.status_code, first.json())


def test_what_breaks_a_rule_of_the_form_uses_no_key_up(database: Mode) -> None:
    alice = Api("alice")
    assert send(alice, "new-post", key("k"), message=7).status_code == 400
    assert send(alice, "new-post", key("k"), message="seven").status_code == 201


def test_a_key_is_a_persons_own(database: Mode) -> None:
    assert send(Api("alice"), "new-post", key("k"), message="a").status_code == 201
    assert send(Api("bob"), "new-post", key("k"), message="b").status_code == 201
    assert Event.objects.count() == 2


def test_the_same_request_sent_many_times_at_once_takes_effect_once(database: Mode) -> None:
    alice = Api("alice")

    def once(_: int) -> Any:
        try:
            return send(alice, "new-post", key("k"), message="once")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(once, range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["post_id"] for answer in answers}) == 1
    assert Event.objects.count() == 1


def test_an_expired_key_is_forgotten_and_others_are_cleared_away(database: Mode) -> None:
    alice = Api("alice")
    for name in ("a", "b", "c"):
        send(alice, "new-post", key(name), message=name)
    kept = send(alice, "new-post", key("kept"), message="kept")
    past = utc_now() - timedelta(seconds=1)
    Receipt.objects.exclude(outcome__contains=kept.json()["post_id"].replace("-", "")).exclude(
        outcome__contains=kept.json()["post_id"]
    ).update(expires_at=past)
    assert send(alice, "new-post", key("a"), message="another").status_code == 201
    assert Receipt.objects.count() == 2
    assert send(alice, "new-post", key("kept"), message="kept").json() == kept.json()


# --- ETag, If-Match, If-None-Match -----------------------------------------------------------


def a_post(alice: Api) -> tuple[str, str]:
    """Its id and ETag."""
    answer = send(alice, "new-post", message="a")
    return answer.json()["post_id"], answer["ETag"]


def arrive() -> None:
    publish_all()
    for projection in PROJECTIONS.values():
        consume_all(projection)


def test_the_etag_of_an_answer_is_the_one_that_reading_gives(database: Mode) -> None:
    alice = Api("alice")
    post_id, etag = a_post(alice)
    arrive()
    assert alice.ask("find-post-by-id", post_id=post_id)["ETag"] == etag == '"v1"'


def test_the_consistency_token_is_a_header_of_the_answer_too(sqlite: Mode) -> None:
    answer = send(Api("alice"), "new-post", message="a")
    assert answer["Consistency-Token"] == answer.json()["consistency_token"]


@pytest.mark.parametrize("command", ["edit-message", "delete-post", "like-post"])
def test_a_command_for_an_older_version_is_refused(database: Mode, command: str) -> None:
    alice = Api("alice")
    post_id, etag = a_post(alice)
    send(alice, "add-comment", post_id=post_id, text="changed it")
    fields = {"post_id": post_id, **({"message": "b"} if command == "edit-message" else {})}
    refused = send(alice, command, {"If-Match": etag}, **fields)
    assert code(refused) == (412, "precondition_failed")
    assert Event.objects.count() == 2


@pytest.mark.parametrize("header", ['"v1"', '"v7", "v1"', "*"])
@pytest.mark.parametrize("command", ["edit-message", "delete-post"])
def test_a_command_for_the_version_that_is_there_is_carried_out(
    sqlite: Mode, command: str, header: str
) -> None:
    alice = Api("alice")
    post_id, _ = a_post(alice)
    fields = {"post_id": post_id, **({"message": "b"} if command == "edit-message" else {})}
    answer = send(alice, command, {"If-Match": header}, **fields)
    assert (answer.status_code, answer["ETag"]) == (200, '"v2"')


def test_what_would_be_refused_anyway_is_refused_for_that(database: Mode) -> None:
    post_id, _ = a_post(Api("alice"))
    stale = {"If-Match": '"v9"'}
    bob = Api("bob")
    assert code(send(bob, "edit-message", stale, post_id=post_id, message="b"))[0] == 403
    assert code(send(bob, "like-post", stale, post_id=str(uuid4())))[0] == 404


def test_who_has_the_answer_already_is_told_so(database: Mode) -> None:
    alice = Api("alice")
    post_id, _ = a_post(alice)
    arrive()
    for query, params in (
        ("find-post-by-id", {"post_id": post_id}),
        ("find-all-posts", {}),
        ("find-comments", {"post_id": post_id}),
        ("find-post-history", {"post_id": post_id}),
    ):
        etag = alice.ask(query, **params)["ETag"]
        same = alice.ask(query, headers={"If-None-Match": etag}, **params)
        assert (same.status_code, same.content, same["ETag"]) == (304, b"", etag)
    send(alice, "edit-message", post_id=post_id, message="b")
    arrive()
    changed = alice.ask("find-post-by-id", headers={"If-None-Match": '"v1"'}, post_id=post_id)
    assert (changed.status_code, changed["ETag"]) == (200, '"v2"')


# --- limits ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_window_ends")
@override_settings(API_RATE=3)
def test_more_than_the_limit_is_refused_by_person_and_by_address(database: Mode) -> None:
    alice, nobody = Api("alice"), Api()
    for left in (2, 1, 0):
        answer = alice.ask("find-all-posts")
        assert answer.status_code == 200
        assert (answer["RateLimit-Limit"], answer["RateLimit-Remaining"]) == ("3", str(left))
    refused = alice.ask("find-all-posts")
    assert code(refused) == (429, "throttled")
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert 1 <= int(refused["RateLimit-Reset"]) <= 60
    assert nobody.ask("find-all-posts").status_code == 200, "another counts for himself"
    assert Api("bob").ask("find-all-posts").status_code == 200


@override_settings(API_RATE=0)
def test_no_limit_says_nothing(sqlite: Mode) -> None:
    assert "RateLimit-Limit" not in Api().ask("find-all-posts").headers


@pytest.mark.usefixtures("no_window_ends")
@override_settings(API_RATE=2)
def test_a_forged_address_counts_as_the_real_one(sqlite: Mode) -> None:
    answers = [
        Api().ask("find-all-posts", headers={"X-Forwarded-For": f"10.0.0.{n}"}) for n in range(4)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]


@pytest.mark.usefixtures("no_window_ends")
def test_wrong_passwords_are_soon_not_looked_at(database: Mode) -> None:
    Api("alice")
    basic = {"Authorization": "Basic YWxpY2U6d3Jvbmc="}  # alice:wrong
    client = Api().client
    statuses = [client.post("/api/v1/auth/token/", headers=basic).status_code for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    body = {"username": "alice", "password": "wrong"}
    form = client.post("/accounts/login/", body)
    assert form.status_code == 429, "the form counts with it"
    assert int(form["Retry-After"]) > 0
    other = client.post("/accounts/login/", {"username": "bob", "password": "wrong"})
    assert other.status_code == 200


# --- other origins ---------------------------------------------------------------------------


def preflight(origin: str) -> Any:
    return Api().client.options(
        f"{COMMANDS}/new-post/",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, idempotency-key",
        },
    )


def test_pages_of_other_sites_are_not_let_in_by_default(sqlite: Mode) -> None:
    assert "Access-Control-Allow-Origin" not in preflight("https://other.example").headers


@override_settings(CORS_ALLOWED_ORIGINS=["https://app.example"])
def test_pages_of_the_sites_in_the_settings_are(sqlite: Mode) -> None:
    answer = preflight("https://app.example")
    assert answer["Access-Control-Allow-Origin"] == "https://app.example"
    assert "idempotency-key" in answer["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Origin" not in preflight("https://other.example").headers
    read = Api().ask("find-all-posts", headers={"Origin": "https://app.example"})
    assert "ETag" in read["Access-Control-Expose-Headers"]
    feed = Api().client.get("/", headers={"Origin": "https://app.example"})
    assert "Access-Control-Allow-Origin" not in feed.headers, "only the API"


def test_an_address_without_anything_names_the_one_that_lists_all(sqlite: Mode) -> None:
    nothing = Api().client.get("/api/v1/nothing/")
    assert nothing.status_code == 404
    assert "; /api/v1/ lists them." in nothing.json()["errors"][0]["detail"]


# --- the events, described -------------------------------------------------------------------


def test_every_event_is_in_the_asyncapi_document_and_has_a_schema(sqlite: Mode) -> None:
    document = Api().client.get("/api/v1/events/").json()
    assert document["asyncapi"] == "3.0.0"
    assert set(document["components"]["messages"]) == set(EVENTS)
    for name in EVENTS:
        schema = Api().client.get(f"/api/v1/events/{name}/").json()
        Draft202012Validator.check_schema(schema)
    nothing = Api().client.get("/api/v1/events/nothing/")
    assert (nothing.status_code, nothing.json()["errors"][0]["code"]) == (404, "not_found")


def test_a_real_record_fits_its_description_and_a_wrong_one_does_not(sqlite: Mode) -> None:
    document = Api().client.get("/api/v1/events/").json()
    post_id = uuid4()
    event = CommentAdded(post_id=post_id, comment_id=uuid4(), author="alice", text="a")
    record = record_of(post_id, 3, event).value
    message = document["components"]["messages"]["posts.comment_added.v1"]
    schema = {**message["payload"], "components": document["components"]}
    validator = Draft202012Validator(schema)
    assert list(validator.iter_errors(json.loads(record))) == []
    wrong = json.loads(record) | {"data": {"post_id": str(post_id)}, "streamversion": 0}
    assert len(list(validator.iter_errors(wrong))) >= 2
    assert decode_envelope(record)[0].version == 3
    assert encode_event(event)[0] == "posts.comment_added.v1"


# --- health ----------------------------------------------------------------------------------


def leading() -> None:
    """A relay that is alive for as long as any test may take."""
    current_bus().ensure_topic()
    now = utc_now()
    beat_at = now + timedelta(hours=1)
    Heartbeat.objects.create(role="relay", process="p", active=True, since=now, beat_at=beat_at)


def test_without_a_relay_at_work_it_is_not_ready(database: Mode) -> None:
    current_bus().ensure_topic()
    answer = ready()
    assert answer.status_code == 503
    assert "runrelay" in answer.json()["failing"]["relay"]
    leading()
    assert ready().json() == {"status": "ok", "failing": {}}


@postlog(MAX_LAG=2)
def test_a_read_side_far_behind_is_not_ready(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stalls, "STALLED_AFTER_S", 3600)  # that would be said before the number
    leading()
    for projection in PROJECTIONS.values():
        consume_all(projection)  # so that consumers have begun
    for number in range(3):
        a_post(Api("alice"))
        assert list(ready().json()["failing"]) == ([] if number < 2 else ["lag"])
    publish_all()
    assert "3 events" in ready().json()["failing"]["lag"]
    for projection in PROJECTIONS.values():
        consume_all(projection)
    assert ready().status_code == 200
