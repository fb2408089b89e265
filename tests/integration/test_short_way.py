"""The short way of the API: it answers what it can as the long way does, and leaves all else."""

import json
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http import UnreadablePostError
from django.test import Client, RequestFactory, override_settings
from django.urls import clear_url_caches, path
from django.views.decorators.cache import never_cache
from hypothesis import given, settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.throttling import BaseThrottle

from commands_app.commands import LikePost
from messaging import mediator
from messaging.api import short_way
from messaging.api.views import command_view, query_view
from messaging.eventstore.models import Event
from queries_app.queries import FindAllPosts
from tests.support.api import COMMANDS, QUERIES, Api, browser, errors
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.relaying import publish_all
from tests.support.ways import KNOWN, REQUESTS, TRACE, Sent, answered, long_way, no_long_way
from web import counters

LIKE, FIND = f"{COMMANDS}/like-post/", f"{QUERIES}/find-post-by-id/"


@pytest.fixture(autouse=True)
def no_window_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters.Window, "now", lambda self: (1, self.seconds))


@pytest.fixture(autouse=True)
def way() -> str:
    """Each test here says by itself which it means."""
    return "short"


def token_of(api: Api) -> str:
    return api.headers["Authorization"].split()[1]


def new_post(api: Api) -> Any:
    answer = api.send("new-post", message="Hello")
    assert answer.status_code == 201
    return answer.json()


def arrive() -> None:
    publish_all()
    consume_all()


# --- it answers ------------------------------------------------------------------------------


def test_what_programs_mostly_send_needs_no_long_way(database: Mode) -> None:
    alice, nobody = Api("alice"), Api()
    with no_long_way():
        post = new_post(alice)
        liked = alice.send("like-post", post_id=post["post_id"])
        arrive()
        found = nobody.ask("find-post-by-id", post_id=post["post_id"])
        known = {"If-None-Match": found.headers["ETag"]}
        again = nobody.ask("find-post-by-id", post_id=post["post_id"], headers=known)
        page = alice.ask("find-all-posts", page_size=1, consistency_token=post["consistency_token"])
        mine = alice.ask("find-my-posts", headers={"Accept": "application/json, */*"})
    assert (liked.status_code, liked.json()["version"]) == (200, 2)
    assert (found.status_code, found.json()["message"]) == (200, "Hello")
    assert (again.status_code, again.content) == (304, b"")
    assert [one.json()["results"][0]["likes"] for one in (page, mine)] == [1, 1]
    assert mine.headers["Vary"].startswith("Authorization, Cookie")


def test_what_it_may_not_answer_goes_on(sqlite: Mode) -> None:
    alice = Api("alice")
    post = new_post(alice)
    client = browser("alice")
    with no_long_way():
        for sent in (
            lambda: client.get(f"{QUERIES}/find-my-posts/"),
            lambda: alice.post(LIKE, "post_id=x", "application/x-www-form-urlencoded"),
            lambda: alice.ask("find-all-posts", headers={"Accept": "text/html"}),
            lambda: alice.client.head(FIND, {"post_id": post["post_id"]}),
            lambda: alice.client.options(LIKE),
            lambda: Api().send("like-post", post_id=post["post_id"]),
            lambda: alice.send("edit-message", post_id=post["post_id"], message=""),
        ):
            assert sent().status_code == 500, "it reached the long way, which is cut off"


# --- as the long way does --------------------------------------------------------------------


@override_settings(API_RATE=1_000, CORS_ALLOWED_ORIGINS=["https://friend.example"])
def test_both_ways_give_the_same_status_body_and_headers(sqlite: Mode, quiet: None) -> None:
    alice = Api("alice")
    posts = {way: new_post(alice) for way in ("short", "long")}
    arrive()
    same = {
        "name": "alice",
        "token": token_of(alice),
        "session": browser("alice").cookies["sessionid"].value,
        "seen": posts["short"]["consistency_token"],
    }

    def answer(sent: Sent) -> Any:
        of_its_own = posts if "/commands/" in sent.path else dict.fromkeys(posts, posts["short"])
        values = {way: {**same, "way": way, "post": of_its_own[way]["post_id"]} for way in posts}
        short = answered(sent, **values["short"])
        with long_way():
            assert short == answered(sent, **values["long"])
        return short

    assert [answer(sent)[0] for sent, _ in KNOWN] == [status for _, status in KNOWN]

    @settings(max_examples=200)
    @given(REQUESTS)
    def compare(sent: Sent) -> None:
        answer(sent)

    compare()


# --- nothing is done twice -------------------------------------------------------------------


def test_what_is_refused_on_the_short_way_is_tried_once_and_worded_by_the_view(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Any] = []

    def noting(what: Any) -> Any:
        def work(message: Any, *args: Any) -> Any:
            tried.append(args[0])
            return what(message, *args)

        return work

    alice = Api("alice")
    monkeypatch.setattr(mediator, "send", noting(mediator.send))
    monkeypatch.setattr(mediator, "ask", noting(mediator.ask))
    refused = alice.send("like-post", post_id=str(uuid4()))
    assert (refused.status_code, errors(refused)) == (404, [("post_not_found", "post_id")])
    assert [context.traceparent for context in tried] == [refused.headers["traceparent"]]
    missing = alice.ask("find-post-by-id", post_id=str(uuid4()))
    assert (missing.status_code, errors(missing)) == (404, [("post_not_found", "post_id")])
    assert len(tried) == 2


def test_an_error_in_a_handler_is_met_once_and_is_the_views(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    tried: list[int] = []

    def broken(command: Any, uow: Any) -> None:
        tried.append(1)
        raise ZeroDivisionError

    alice = Api("alice")
    monkeypatch.setitem(mediator._command_handlers, LikePost, broken)
    answer = alice.send("like-post", post_id=str(uuid4()))
    assert (answer.status_code, errors(answer), tried) == (500, [("error", None)], [1])


@override_settings(API_RATE=3)
def test_a_request_counts_once_whichever_way_it_goes(sqlite: Mode) -> None:
    alice = Api("alice")
    left = [
        alice.send("like-post", post_id=str(uuid4())).headers["RateLimit-Remaining"],
        alice.ask("find-all-posts").headers["RateLimit-Remaining"],
        alice.ask("find-all-posts", headers={"Accept": "text/html"}).headers["RateLimit-Remaining"],
    ]
    assert left == ["2", "1", "0"]
    refused = alice.ask("find-all-posts")
    assert (refused.status_code, errors(refused)) == (429, [("throttled", None)])
    assert int(refused.headers["Retry-After"]) > 0


@override_settings(API_RATE=2)
def test_a_wrong_token_counts_once_by_its_address(sqlite: Mode) -> None:
    forger = Api()
    forger.headers["Authorization"] = "Token 0123456789abcdef"
    answers = [forger.ask("find-all-posts") for _ in range(3)]
    assert [one.status_code for one in answers] == [401, 401, 429]
    assert [one.headers["RateLimit-Remaining"] for one in answers] == ["1", "0", "0"]


@override_settings(API_RATE=2)
def test_who_may_not_is_not_counted(sqlite: Mode) -> None:
    for _ in range(3):
        refused = Api().send("like-post", post_id=str(uuid4()))
        assert (refused.status_code, "RateLimit-Limit" in refused.headers) == (401, False)


class Torn(BytesIO):
    """A body that breaks off where it is read first, with more of it behind that."""

    def __init__(self) -> None:
        super().__init__(b'{"message": "Hello"}')
        self.is_whole = True

    def read(self, *args: Any) -> bytes:
        if self.is_whole:
            self.is_whole = False
            raise OSError("the client went away")
        return super().read(*args)


def test_a_body_that_did_not_arrive_is_the_clients_fault(sqlite: Mode) -> None:
    """Nor is the other half of it taken for all."""
    alice = Api("alice")
    request = WSGIRequest({
        **RequestFactory().post(f"{COMMANDS}/new-post/", b"x" * 20, "application/json").environ,
        "wsgi.input": Torn(),
        "HTTP_AUTHORIZATION": alice.headers["Authorization"],
    })  # fmt: skip
    handler = Client(raise_request_exception=False).handler
    handler.load_middleware()
    answer = handler.get_response(request)
    assert (answer.status_code, json.loads(answer.content)["errors"][0]["code"]) == (
        400, "parse_error",
    )  # fmt: skip
    assert Event.objects.count() == 0


# --- for whose views -------------------------------------------------------------------------


class ByKey(BaseAuthentication):
    """Looks at a header that the short way knows nothing of."""


class Often(BaseThrottle):
    """Counts in a way of its own."""


@pytest.mark.parametrize(
    "own",
    [
        {"authentication_classes": [ByKey]},
        {"throttle_classes": [Often]},
        {"permission_classes": []},
        {"renderer_classes": []},
        {"parser_classes": []},
        {"content_negotiation_class": object},
        {"versioning_class": object},
    ],
    ids=str,
)
def test_a_view_with_classes_of_its_own_is_left_alone(own: dict[str, Any]) -> None:
    for made in (command_view(LikePost), query_view(FindAllPosts)):
        assert hasattr(short_way.offer(lambda _: None, made), "short_way")
        changed = type("Changed", (made,), own)
        assert not hasattr(short_way.offer(lambda _: None, changed), "short_way")


_offered = short_way.offer(query_view(FindAllPosts).as_view(), query_view(FindAllPosts))
urlpatterns = [
    path("plain/", _offered),
    path("decorated/", never_cache(_offered)),
    path("<str:tenant>/plain/", _offered),
]


@override_settings(ROOT_URLCONF=__name__)
def test_a_view_in_a_decorator_or_with_arguments_is_left_alone() -> None:
    clear_url_caches()
    asked = {name: RequestFactory().get(f"/{name}/") for name in ("plain", "decorated", "a/plain")}
    found = {name: short_way._endpoint_of(request) for name, request in asked.items()}
    assert found == {"plain": _offered.short_way, "decorated": None, "a/plain": None}


def test_an_unreadable_body_is_unreadable_again() -> None:
    environ = RequestFactory().post(LIKE, b"x" * 20, "application/json").environ
    request = WSGIRequest({**environ, "wsgi.input": Torn()})
    with pytest.raises(UnreadablePostError):
        short_way._sent(request)
    with pytest.raises(UnreadablePostError):
        request.read()


def test_a_trace_that_was_sent_goes_out_again(sqlite: Mode) -> None:
    alice = Api("alice")
    alice.headers["traceparent"] = TRACE
    with no_long_way():
        answer = alice.send("new-post", message="Hello")
    assert answer.headers["traceparent"] == TRACE
    assert Event.objects.get().traceparent == TRACE
