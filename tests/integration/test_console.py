"""The operator's console: the path as it stands, and what an operator may do, all recorded."""

from datetime import timedelta
from threading import Event as Flag
from typing import Any, NoReturn
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.db import OperationalError
from django.test import Client

from accounts.models import User
from commands_app.commands import AddComment, NewPost
from contracts.posts import PostCreated, PostLiked
from messaging import mediator
from messaging.bus import current_bus
from messaging.console import dashboard
from messaging.eventstore.models import Event, Outbox, Receipt, Stream
from messaging.exceptions import BusError, HistoryMismatch
from messaging.message import Context, utc_now
from messaging.monitoring import audit, samples, sampling
from messaging.monitoring.figures import Figures, ProjectionFigures
from messaging.monitoring.models import OperatorAction
from messaging.projections.consuming import checkpoints
from messaging.projections.models import DeadLetter, Discarded, Rebuild
from messaging.projections.registry import consumed
from messaging.rebuilding import requests
from messaging.rebuilding.worker import RebuildWorker
from messaging.workers.models import Heartbeat
from queries_app.models import (
    Comment,
    CommentText,
    History,
    HistoryEntry,
    Like,
    Likes,
    Post,
    SearchedPost,
    SearchedText,
)
from queries_app.projections import posts
from tests.support.api import person
from tests.support.console import signed_in, url
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.rebuilding import some_posts
from tests.support.records import publish, record_of
from tests.support.relaying import publish_all

ALICE = Context(actor="alice")
CONSOLE = "/admin/console/"


def root() -> Client:
    return signed_in(is_superuser=True)


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "FRESH_S", 0)


def page(client: Client, address: str = CONSOLE) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


# --- the path --------------------------------------------------------------------------------


def test_the_start_page_shows_the_path_and_the_part_that_refreshes_itself(database: Mode) -> None:
    client = root()
    text = page(client, "/admin/")
    for step in ("Commands", "Event store", "Outbox", "Relay", "Log", "Consumers", "Projections"):
        assert step in text
    assert f'hx-get="{CONSOLE}"' in text
    assert "Event store" in page(client)


def test_it_follows_what_happens(database: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "RATE_WINDOW", timedelta(seconds=20))
    client = root()
    mediator.send(NewPost(message="a"), ALICE)
    mediator.send(NewPost(message="b"), ALICE)
    text = page(client)
    assert "<b>2</b> waiting" in text
    assert "<b>0.1</b>/s" in text
    assert "<title>Act now: No consumer is alive" in text
    assert "Type <code>manage.py runconsumer</code>" in text
    publish_all()
    text = page(client)
    assert "<b>0</b> waiting" in text
    assert "<b>2</b> records in 12 partitions" in text
    now = utc_now()
    for role, process in (("relay", "near 1"), ("relay", "far 2"), ("consumer", "near 1")):
        Heartbeat.objects.create(
            role=role, process=process, active=process == "near 1",
            since=now - timedelta(minutes=7), beat_at=now + timedelta(hours=1),
        )  # fmt: skip
    text = page(client)
    assert "near 1: <b>leader</b> for 7 min" in text
    assert "far 2: <b>stands by</b>" in text
    assert "<title>Act now: No consumer has ever taken the records of" in text
    for projection in consumed():
        consume_all(projection)
    text = page(client)
    assert "<title>All well | Postlog</title>" in text
    assert "<title>All well | Postlog</title>" in page(client, "/admin/")


def test_a_dead_letter_a_halted_partition_and_a_rebuild_are_on_it(database: Mode) -> None:
    client = root()
    a_dead_letter()
    checkpoints.halt("posts", 1, 3, 0, "It forked.")
    requests.ask("posts", "log", "root")
    text = page(client)
    assert "Partition 3 is halted: It forked." in text
    assert "from the log, asked" in text
    assert "Last error: <a" in text
    assert f'<a class="warm" href="{url(DeadLetter)}">1</a>' in text
    assert "Dead letters: 1 of posts." in text
    assert "Readers see nothing newer of posts, partition 3" in text


@pytest.mark.parametrize("fault", [BusError("It is away."), HistoryMismatch("It is another one.")])
def test_a_part_that_is_down_is_named_and_the_others_are_shown(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fails() -> NoReturn:
        raise fault

    monkeypatch.setattr(dashboard, "log_state", fails)
    text = page(root())
    assert f"The log does not answer. {type(fault).__name__}: It is" in text
    assert "<b>0</b> waiting" in text
    assert "posts" in text


def test_a_page_of_djangos_own_that_finds_a_server_away_is_503(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = root()

    def fails() -> NoReturn:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(dashboard, "refresh", fails)
    answer = client.get("/admin/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


def test_only_staff_with_the_permission_see_the_path(database: Mode) -> None:
    clerk = signed_in("clerk")
    assert clerk.get(CONSOLE).status_code == 403
    assert "Event store</h2>" not in page(clerk, "/admin/")
    person("clerk").user_permissions.add(Permission.objects.get(codename="view_checkpoint"))
    assert "Event store</h2>" in page(clerk)
    anonymous = Client().get(CONSOLE)
    assert anonymous.status_code == 302


# --- from a command to its rows --------------------------------------------------------------


def test_a_command_is_followed_to_the_rows_that_it_changed(database: Mode) -> None:
    command_id = uuid4()
    context = Context(actor="alice", command_id=command_id)
    post_id = mediator.send(NewPost(message="<b>followed</b>"), context).stream_id
    publish_all()
    consume_all(posts)
    comment = AddComment(post_id=post_id, text="x")
    mediator.send(comment, Context(actor="bob", correlation_id=command_id))
    first, second = Event.objects.order_by("position")
    text = page(root(), f"{url(Event, first.position, 'trace')}")
    assert str(command_id) in text
    assert "its receipt" in text
    assert url(Event, second.position, "change") in text, "one correlation"
    assert "&lt;b&gt;followed&lt;/b&gt;" in text
    assert "waits in the outbox" in text
    assert "posts: on its way; the stream is at version 1" in text
    publish_all()
    consume_all(posts)
    text = page(root(), f"{url(Event, first.position, 'trace')}")
    assert "posts: applied; the stream is at version 2" in text


def test_signing_in_goes_by_the_sites_own_form(database: Mode) -> None:
    where = "/accounts/login/?next=/admin/messaging/event/"
    for method in (Client().get, Client().post):
        answer = method("/admin/login/?next=/admin/messaging/event/")
        assert (answer.status_code, answer["Location"]) == (302, where)
    assert root().get("/admin/login/")["Location"] == "/admin/"
    person("alice")
    clerk = Client()
    clerk.force_login(person("alice"))
    assert clerk.get("/admin/", follow=True).redirect_chain[-1][0].startswith("/accounts/login/")


def test_following_needs_the_right_to_view_all_that_it_shows(sqlite: Mode) -> None:
    mediator.send(NewPost(message="a"), ALICE)
    position = Event.objects.get().position
    trace, event = url(Event, position, "trace"), url(Event, position, "change")
    record = [Event, Stream, Outbox, Receipt, DeadLetter]
    shown = [*record, Post, Comment, History, HistoryEntry, CommentText, Likes, Like]
    shown += [SearchedPost, SearchedText]
    names = [f"view_{model._meta.model_name}" for model in shown]
    assert signed_in("clerk").get(trace).status_code == 403
    rights = person("clerk").user_permissions
    rights.set(every := Permission.objects.filter(codename__in=names))
    assert signed_in("clerk").get(trace).status_code == 200
    assert trace in page(signed_in("clerk"), event)
    for lacking in every:
        rights.set(every.exclude(pk=lacking.pk))
        assert signed_in("clerk").get(trace).status_code == 403, lacking
    rights.set(every.filter(codename="view_event"))
    assert trace not in page(signed_in("clerk"), event), "no link to a refusal"
    assert root().get(url(Event, 10**9, "trace")).status_code == 404


# --- over time -------------------------------------------------------------------------------

PLOTS = "/admin/console/plots/"


def test_plots_show_samples_what_happened_and_the_values_as_a_table(database: Mode) -> None:
    mediator.send(NewPost(message="a"), ALICE)
    publish_all()
    for projection in consumed():
        consume_all(projection)
    sampling.take(samples.database_time())
    audit.record("root", "rebuild: store", "<posts>")
    for span in ("1h", "6h", "24h", "7d"):
        text = page(root(), f"{PLOTS}?span={span}")
        assert "Events a second" in text
        assert 'aria-label="Lag, in records. history: at most 0, now 0;' in text
        assert "no consumer is alive" in text
        assert "root: rebuild: store &lt;posts&gt;" in text
        assert "No samples in this time" not in text
        assert '<th scope="col">Lag, in records: history</th>' in text
        assert text.count('<th scope="row">') == 1, "the one time of which there are values"


def test_what_came_and_went_within_one_point_of_a_week_is_told(database: Mode) -> None:
    now = samples.step_of(samples.database_time(), samples.COARSE_S)
    consumers = {"consumer": 1}
    for minutes, letters, workers in ((40, 0, consumers), (35, 2, consumers), (30, 2, {}),
                                      (25, 0, consumers)):  # fmt: skip
        at = now - timedelta(minutes=minutes)
        counted = {"posts": ProjectionFigures(dead_letters=letters)}
        samples.keep(at, Figures(taken_s=at.timestamp(), projections=counted, workers=workers))
    text = page(root(), f"{PLOTS}?span=7d")
    for told in ("samples begin", "dead letters: 2 more of posts", "dead letters: 2 fewer of posts",
                 "1 \N{RIGHTWARDS ARROW} 0 alive as consumer",
                 "0 \N{RIGHTWARDS ARROW} 1 alive as consumer"):  # fmt: skip
        assert told in text
    assert "Times are to within 5 min" in text


def test_a_week_without_a_sample_is_a_clear_picture(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = page(root(), f"{PLOTS}?span=7d")
    assert "No samples in this time." in text
    assert text.count('class="at-gap" x="0" width="1000"') == 1
    assert "Nothing: no operator&#x27;s action" in text or "Nothing: no operator's action" in text

    def away(*_: Any) -> NoReturn:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(Rebuild.objects, "order_by", away)
    assert "No samples" in page(root(), PLOTS), "the read database is away"


def test_what_is_over_is_over_in_the_plots_of_a_week_too(sqlite: Mode) -> None:
    now = samples.database_time()
    for ago, lag, errors in ((180, 4_002, ("the log did not answer: away",)), (0, 3, ())):
        at = now - timedelta(seconds=ago)
        workers, lags = {"consumer": 1}, {"posts": ProjectionFigures(lag=lag)}
        samples.keep(at, Figures(taken_s=at.timestamp(), workers=workers, leader="near 1",
                                 projections=lags, errors=errors))  # fmt: skip
    text = page(root(), f"{PLOTS}?span=7d")
    assert "<td>the log did not answer: away</td>" in text
    assert "still so" not in text
    assert "posts: at most 4,002, now 3" in text
    assert "Times are to within" in text


def test_only_staff_with_the_permission_see_plots(sqlite: Mode) -> None:
    assert signed_in("clerk").get(PLOTS).status_code == 403
    assert Client().get(PLOTS).status_code == 302


# --- dead letters ----------------------------------------------------------------------------


def a_dead_letter() -> DeadLetter:
    """Of a like that the code of then could not apply, with another behind it."""
    post_id = uuid4()
    posts_applier = posts.appliers.pop(PostLiked)
    posts.on(PostLiked)(lambda *_: 1 / 0)
    try:
        publish(
            record_of(post_id, 1, PostCreated(post_id=post_id, author="alice", message="a")),
            record_of(post_id, 2, PostLiked(post_id=post_id, username="bob")),
            record_of(post_id, 3, PostLiked(post_id=post_id, username="carol")),
        )
        consume_all(posts)
    finally:
        posts.appliers[PostLiked] = posts_applier
    return DeadLetter.objects.filter(code="poison").latest("id")


def test_retry_applies_the_queue_and_leads_back_to_the_list(database: Mode) -> None:
    dead_letter, client = a_dead_letter(), root()
    assert "Retry" in page(client, url(DeadLetter, dead_letter.pk, "change"))
    answer = client.post(url(DeadLetter, dead_letter.pk, "retry"), follow=True)
    assert "2 applied" in answer.content.decode()
    assert Post.objects.get().likes == 2
    assert not DeadLetter.objects.exists()
    assert OperatorAction.objects.get().action == "dead letter: retry"


def test_retry_all_applies_every_stream(database: Mode) -> None:
    for _ in range(2):
        a_dead_letter()
    answer = root().post(url(DeadLetter, "retry-all"), follow=True)
    assert "4 applied, 0 still wait" in answer.content.decode()
    assert not DeadLetter.objects.exists()
    assert OperatorAction.objects.get().detail == "", "of all"


def test_discard_gives_the_event_up_and_the_stream_goes_on(database: Mode) -> None:
    dead_letter, client = a_dead_letter(), root()
    asked = page(client, url(DeadLetter, dead_letter.pk, "discard"))
    assert '<button class="button destructive">Discard for good</button>' in asked
    assert "Readers see version 1 now. 1 later event of the stream waits behind it" in asked
    assert "division by zero" in asked
    assert not Discarded.objects.exists()
    done = client.post(url(DeadLetter, dead_letter.pk, "discard"), follow=True)
    assert '<li class="success">Discarded 1 event. Behind it: 1 applied.' in done.content.decode()
    assert Post.objects.get().likes == 1
    assert Discarded.objects.get().event_id == dead_letter.event_id
    assert OperatorAction.objects.get().action == "dead letter: discard"


@pytest.mark.parametrize("button", ["retry", "retry-all"])
def test_that_nothing_was_applied_is_no_success(database: Mode, button: str) -> None:
    dead_letter, where = a_dead_letter(), (button,)
    if button == "retry":
        where = (str(dead_letter.pk), button)
    applier = posts.appliers.pop(PostLiked)
    posts.on(PostLiked)(lambda *_: 1 / 0)
    try:
        answer = root().post(url(DeadLetter, *where), follow=True).content.decode()
    finally:
        posts.appliers[PostLiked] = applier
    assert '<li class="error">Nothing was applied:' in answer
    assert DeadLetter.objects.count() == 2


def test_dead_letters_are_grouped_by_cause_with_the_error_first_and_what_readers_see(
    database: Mode,
) -> None:
    for _ in range(2):
        dead_letter = a_dead_letter()
        reason = f"{dead_letter.reason.strip()} of {dead_letter.stream_id}, 17 times"
        DeadLetter.objects.filter(pk=dead_letter.pk).update(reason=reason)
    client = root()
    text = page(client, url(DeadLetter))
    assert text.count("<strong>ZeroDivisionError: division by zero of …, … times</strong>") == 1
    assert "posts generation 1, poison: 2 streams, 4 events, since" in text
    assert "<td>version 2</td> <td>1</td> <td>version 1</td>" in text
    text = page(client, url(DeadLetter, dead_letter.pk, "change"))
    error, folded = (text.index(part) for part in ("17 times</strong>", "<summary>Traceb"))
    assert error < folded < text.index("Event id")
    assert "version 1; 1 later wait behind this event" in text
    assert str(dead_letter.event_id) in text, "which is not in this store"


def test_what_only_waits_behind_another_is_not_discarded(database: Mode) -> None:
    a_dead_letter()
    behind = DeadLetter.objects.get(code="behind")
    answer = root().post(url(DeadLetter, behind.pk, "discard"), follow=True)
    assert "only waits behind" in answer.content.decode()
    assert DeadLetter.objects.count() == 2


# --- rebuilds --------------------------------------------------------------------------------


def test_a_rebuild_is_asked_for_watched_and_done(database: Mode) -> None:
    some_posts()
    publish_all()
    consume_all(posts)
    client = root()
    answer = client.post(url(Rebuild, "store"), {"projection": "posts"}, follow=True)
    assert "Asked for posts, generation 2" in answer.content.decode()
    rebuild = Rebuild.objects.get()
    assert "<progress" in page(client, url(Rebuild, rebuild.pk, "change"))
    again = client.post(url(Rebuild, "log"), {"projection": "posts"}, follow=True)
    assert "is under way already" in again.content.decode()
    RebuildWorker(current_bus()).build(rebuild, Flag())
    assert checkpoints.live_generation("posts") == 2
    text = page(client, url(Rebuild, rebuild.pk, "change"))
    assert "done" in text
    assert "Cancel" not in text
    assert [row.action for row in OperatorAction.objects.order_by("id")] == [
        "rebuild: store",
        "rebuild: log",
    ]


def test_a_rebuild_is_cancelled(database: Mode) -> None:
    rebuild = requests.ask("posts", "log", "root")
    answer = root().post(url(Rebuild, rebuild.pk, "cancel"), follow=True)
    assert "Cancelled" in answer.content.decode()
    rebuild.refresh_from_db()
    assert rebuild.state == "cleaning up"


# --- rubbish, and people without the right ---------------------------------------------------


def every_button(dead_letter: DeadLetter, rebuild: Rebuild) -> list[tuple[str, dict[str, str]]]:
    return [
        (url(DeadLetter, dead_letter.pk, "retry"), {}),
        (url(DeadLetter, dead_letter.pk, "discard"), {}),
        (url(DeadLetter, "retry-all"), {}),
        (url(Rebuild, "log"), {"projection": "history"}),
        (url(Rebuild, "store"), {"projection": "history"}),
        (url(Rebuild, rebuild.pk, "cancel"), {}),
    ]


def test_who_may_only_look_presses_no_button(database: Mode) -> None:
    dead_letter, rebuild = a_dead_letter(), requests.ask("posts", "log", "root")
    clerk = signed_in("clerk")
    for codename in ("view_deadletter", "view_rebuild"):
        person("clerk").user_permissions.add(Permission.objects.get(codename=codename))
    before: list[Any] = [*DeadLetter.objects.values(), *Rebuild.objects.values()]
    assert clerk.get(url(DeadLetter, dead_letter.pk, "discard")).status_code == 403
    for address, body in every_button(dead_letter, rebuild):
        assert clerk.post(address, body).status_code == 403, address
        assert address not in page(clerk, url(DeadLetter))
        assert Client().post(address, body).status_code == 302
    assert [*DeadLetter.objects.values(), *Rebuild.objects.values()] == before
    assert not OperatorAction.objects.exists()


def test_a_button_needs_a_post_with_the_csrf_token(database: Mode) -> None:
    dead_letter, rebuild = a_dead_letter(), requests.ask("posts", "log", "root")
    strict = Client(enforce_csrf_checks=True)
    root()
    strict.force_login(User.objects.get(username="root"))
    for address, body in every_button(dead_letter, rebuild):
        asks_first = address.endswith("/discard/")
        assert strict.get(address).status_code == (200 if asks_first else 405)
        assert strict.post(address, body).status_code == 403
    assert not OperatorAction.objects.exists()


@pytest.mark.parametrize("name", ["", "users", "posts\0", "x" * 5_000, "<script>"])
def test_a_projection_that_does_not_exist_is_refused(unchanged: Mode, name: str) -> None:
    answer = root().post(url(Rebuild, "log"), {"projection": name}, follow=True)
    assert answer.status_code == 200
    assert "There is no such projection" in answer.content.decode()
    assert not Rebuild.objects.exists()


def test_a_letter_that_is_gone_is_said_to_be_gone(database: Mode) -> None:
    answer = root().post(url(DeadLetter, 10**9, "retry"), follow=True)
    assert "(any more)" in answer.content.decode()
