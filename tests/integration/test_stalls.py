"""Records that no consumer takes show wherever one looks, whatever the cause."""

import json
import logging
from datetime import datetime, timedelta

import pytest
from django.db import connections
from django.db.models.functions import Now

from commands_app.commands import EditMessage, NewPost
from messaging import mediator
from messaging.bus import current_bus
from messaging.bus.base import partition_of
from messaging.console import dashboard
from messaging.message import Context
from messaging.monitoring.stall_watch import StallWatch
from messaging.monitoring.status import ProjectionStatus, projection_status
from messaging.projections.consuming import checkpoints, consumer
from messaging.projections.consuming.stalls import confirm_level
from messaging.projections.models import Checkpoint
from messaging.projections.registry import PROJECTIONS
from messaging.testing.waiting import wait_until
from tests.support.clock import nobody_moved_for
from tests.support.console import signed_in
from tests.support.consuming import Running, consume_all
from tests.support.modes import Mode
from tests.support.modes import postgresql as end_sessions
from tests.support.processes import here
from tests.support.rebuilding import at_step, rebuild
from tests.support.relaying import publish_all

ALICE = Context(actor="alice")


@pytest.fixture
def partition(database: Mode) -> int:
    return a_lagging_post()


def a_lagging_post() -> int:
    """A post whose second version is published and not consumed; its partition."""
    result = mediator.send(NewPost(message="Hi"), ALICE)
    publish_all()
    for projection in PROJECTIONS.values():
        consume_all(projection)
    mediator.send(EditMessage(post_id=result.stream_id, message="Hi there"), ALICE)
    publish_all()
    return partition_of(str(result.stream_id), 12)


def now(name: str = "posts") -> ProjectionStatus:
    bus = current_bus()
    return projection_status(name, bus.end_offsets(), bus.identity())


def test_lag_without_movement_is_a_stall(partition: int) -> None:
    assert (now().state, now().stalled) == ("live", {})
    nobody_moved_for(20)
    found = now()
    assert found.state == "stalled"
    assert list(found.stalled) == [partition]
    consume_all()
    assert (now().state, now().stalled) == ("live", {})


def test_a_switch_while_somebody_looks_is_no_stall(
    partition: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It deletes the checkpoints of the generation that it replaces."""
    live_generation = checkpoints.live_generation

    def just_before_a_switch(name: str) -> int:
        found = live_generation(name)
        monkeypatch.setattr(checkpoints, "live_generation", live_generation)
        assert rebuild(PROJECTIONS[name], "log").state == "done"
        return found

    consume_all()
    monkeypatch.setattr(checkpoints, "live_generation", just_before_a_switch)
    found = now()
    assert (found.state, found.stalled, found.lag) == ("live", {}, 0)


def test_records_are_a_stall_where_no_consumer_ever_began(
    database: Mode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stream_id = mediator.send(NewPost(message="Hi"), ALICE).stream_id
    publish_all()
    partition = partition_of(str(stream_id), 12)
    found = now()
    assert (found.state, found.stalled) == ("stalled", {partition: None})
    assert f"partition {partition} is stalled" in here("status").stdout
    assert json.loads(here("status", "--json").stdout)["projections"][0]["state"] == "stalled"
    monkeypatch.setattr(dashboard, "FRESH_S", 0)
    page = signed_in(is_superuser=True).get("/admin/console/").content.decode()
    assert f"Partition {partition} is stalled: no consumer has ever begun." in page
    StallWatch().look()
    assert (
        f"partition {partition} is stalled: 1 records wait, and no consumer has ever" in caplog.text
    )
    consume_all()
    assert now().state == "live"


def test_a_halted_partition_is_reported_once(partition: int) -> None:
    checkpoints.halt("posts", 1, partition, 1, "It forked.")
    nobody_moved_for(20)
    found = now()
    assert (found.state, found.halted, found.stalled) == (
        "halted", {partition: "It forked."}, {}
    )  # fmt: skip


def test_status_says_it_in_words_and_to_programs(partition: int) -> None:
    nobody_moved_for(20)
    text = here("status").stdout
    assert f"partition {partition} is stalled: 1 records wait" in text
    assert "manage.py runconsumer" in text
    found = json.loads(here("status", "--json").stdout)["projections"]
    assert {one["name"]: list(one["stalled"]) for one in found} == {
        name: [str(partition)] for name in PROJECTIONS
    }


def test_the_console_says_it(partition: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "FRESH_S", 0)
    nobody_moved_for(20)
    text = signed_in(is_superuser=True).get("/admin/console/").content.decode()
    assert f"Partition {partition} is stalled" in text


def test_the_log_says_it_once_and_says_when_it_is_over(
    partition: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="postlog")
    watch = StallWatch()
    watch.look()
    assert not caplog.records
    nobody_moved_for(20)
    watch.look()
    watch.look()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(PROJECTIONS)
    assert all(f"partition {partition} is stalled" in line for line in said)
    for projection in PROJECTIONS.values():
        consume_all(projection)
    watch.look()
    assert f"posts: partition {partition} is stalled no longer" in caplog.text


def test_the_log_says_it_after_a_database_was_away(
    postgresql: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    a_lagging_post()
    watch = StallWatch()
    watch.look()
    names = [connections[alias].settings_dict["NAME"] for alias in ("default", "read")]
    end_sessions(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname IN ('{names[0]}', '{names[1]}')"
    )
    watch.try_to_look()
    nobody_moved_for(20)
    watch.try_to_look()
    assert "is stalled" in caplog.text


def test_a_checkpoint_beyond_the_end_does_not_hide_another_partitions_lag(partition: int) -> None:
    beyond = (partition + 1) % 12
    Checkpoint.objects.filter(partition=beyond).update(offset=1_000)
    found = now()
    assert found.lag == 1
    assert found.lag_by_partition[beyond] == 0  # type: ignore[index]
    assert json.loads(here("status", "--json").stdout)["lag"] == len(PROJECTIONS)


# --- what tells an idle partition from a stalled one ------------------------------------------


def checked() -> dict[int, datetime]:
    rows = Checkpoint.objects.filter(projection="posts")
    return dict(rows.values_list("partition", "checked_at"))


def test_a_checkpoint_says_when_it_moved(partition: int) -> None:
    nobody_moved_for(3_600)
    before = checked()
    consume_all()
    assert [p for p, at in checked().items() if at != before[p]] == [partition]
    age = Checkpoint.objects.annotate(now=Now()).get(projection="posts", partition=partition)
    assert age.now - age.checked_at < timedelta(minutes=1)


def test_only_what_is_level_with_the_log_is_confirmed(partition: int) -> None:
    nobody_moved_for(3_600)
    before = checked()
    assert confirm_level("posts", 1, current_bus(), checkpoints.live_offsets("posts")[1])
    confirmed = {p for p, at in checked().items() if at != before[p]}
    assert confirmed == set(range(12)) - {partition}


def test_an_idle_consumer_confirms_its_partitions(
    any_bus: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "CONFIRM_EVERY_S", 0.1)
    current_bus().ensure_topic()
    with Running() as idle:
        wait_until(lambda: len(idle.owned()) == 12, "it has all partitions", 60)
        nobody_moved_for(3_600)
        before = checked()
        wait_until(lambda: all(checked()[p] > at for p, at in before.items()), "it confirms them")
    assert idle.error is None


def test_a_generation_is_fresh_when_readers_are_switched_to_it(partition: int) -> None:
    with at_step("level with the live generation", lambda: nobody_moved_for(3_600)) as step:
        assert rebuild(PROJECTIONS["posts"], "log").state == "done"
    assert step.reached
    mediator.send(NewPost(message="right after the switch"), ALICE)
    publish_all()
    assert now().stalled == {}
