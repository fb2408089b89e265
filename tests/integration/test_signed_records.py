"""With keys, only what a relay signed is believed: a forgery is seen, and does nothing else."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event as Flag
from threading import Timer
from uuid import UUID, uuid4

import pytest

from commands_app.commands import EditMessage, LikePost, NewPost
from contracts.posts import MessageUpdated, PostCreated
from messaging import mediator
from messaging.bus import current_bus
from messaging.bus.base import LogRecord, Message, partition_of
from messaging.bus.signing import KeyRing
from messaging.eventstore.models import Event
from messaging.exceptions import HistoryMismatch, NoKeys
from messaging.management.commands.verify import NO_DIFFERENCE
from messaging.message import Context
from messaging.projections.consuming import resolving
from messaging.projections.consuming.automatic_retry import AutomaticRetry
from messaging.projections.models import Checkpoint, DeadLetter
from messaging.projections.registry import PROJECTIONS
from messaging.recovery.log_repository import LogRepository
from messaging.relay import log_identity, outbox
from messaging.relay.relay import Relay
from messaging.testing.waiting import wait_until
from queries_app.models import Post
from queries_app.projections import posts
from tests.support.consuming import Running, consume_all
from tests.support.fold import assert_read_models_equal_the_fold
from tests.support.losing import recreate_topic, wipe_store
from tests.support.modes import Mode
from tests.support.processes import here
from tests.support.rebuilding import rebuild
from tests.support.records import publish, record_of
from tests.support.relaying import publish_all
from tests.support.settings import postlog

ALICE, BOB = Context(actor="alice"), Context(actor="bob")
ONE, TWO = ("one", "1" * 20 + "abcdefghijklmnop"), ("two", "2" * 20 + "abcdefghijklmnop")
WRONG = ("one", "x" * 20 + "abcdefghijklmnop")
ALL = range(12)
Key = tuple[str, str]


@contextmanager
def keys(*ring: Key, signs: bool | None = True) -> Iterator[None]:
    with postlog(RECORD_KEYS=list(ring), SIGN_RECORDS=signs):
        yield


@pytest.fixture
def signing() -> Iterator[None]:
    with keys(ONE):
        yield


def a_post(message: str = "genuine") -> UUID:
    return mediator.send(NewPost(message=message), ALICE).stream_id


def edited(post_id: UUID, message: str) -> None:
    mediator.send(EditMessage(post_id=post_id, message=message), ALICE)


def forged(post_id: UUID, version: int = 2) -> Message:
    return record_of(post_id, version, MessageUpdated(post_id=post_id, message="forged"))


def signed_by(key: Key, message: Message) -> Message:
    return message._replace(signature=KeyRing([key]).sign(message.key, message.value))


def stolen(message: Message) -> Message:
    """With the signature of a genuine record."""
    return message._replace(signature=_records()[0].signature)


def _records() -> list[LogRecord]:
    bus = current_bus()
    ends = {p: (0, end) for p, end in bus.end_offsets().items()}
    return [record for part in bus.read_ranges(ends) for record in part]


FORGERIES: dict[str, Callable[[Message], Message]] = {
    "unsigned": lambda m: m,
    "another secret": lambda m: signed_by(WRONG, m),
    "a stolen signature": stolen,
    "a broken signature": lambda m: m._replace(signature=b"one:\xff"),
    "an unknown key": lambda m: signed_by(("mine", TWO[1]), m),
}


def consume_everything() -> None:
    for projection in PROJECTIONS.values():
        assert consume_all(projection) == {}


def codes() -> list[str]:
    return list(DeadLetter.objects.order_by("id").values_list("code", flat=True))


@pytest.mark.usefixtures("signing")
def test_what_a_relay_signs_is_applied_restored_and_found_right(mode: Mode) -> None:
    post_id = a_post()
    edited(post_id, "edited")
    publish_all()
    assert all((record.signature or b"").startswith(b"one:") for record in _records())
    consume_everything()
    assert not DeadLetter.objects.exists()
    assert assert_read_models_equal_the_fold() == 1
    done = here("verify", "--patience", "0")
    assert (done.returncode, done.stdout) == (0, f"{NO_DIFFERENCE}\n")
    before = list(Event.objects.order_by("version").values_list("event_id", flat=True))
    wipe_store()
    assert here("restore-events").returncode == 0
    assert list(Event.objects.order_by("version").values_list("event_id", flat=True)) == before


@pytest.mark.parametrize("signs", [None, False])
def test_records_are_signed_with_kafka_and_not_in_the_embedded_log(
    mode: Mode, signs: bool | None
) -> None:
    with keys(ONE, signs=signs):
        a_post()
        publish_all()
        wanted = mode.bus == "kafka" and signs is None
        assert [record.signature is not None for record in _records()] == [wanted]


@pytest.mark.parametrize("which", FORGERIES)
@pytest.mark.usefixtures("signing")
def test_a_forgery_is_parked_and_the_genuine_record_of_its_version_applied(
    mode: Mode, which: str
) -> None:
    post_id = a_post()
    publish_all()
    publish(FORGERIES[which](forged(post_id)), FORGERIES[which](forged(uuid4(), 1)))
    edited(post_id, "the genuine second")
    publish_all()
    for name, projection in PROJECTIONS.items():
        assert consume_all(projection) == {}
        parked = DeadLetter.objects.filter(projection=name)
        code = "unknown key" if which == "an unknown key" else "forged"
        assert [(one.code, one.stream_id) for one in parked] == [(code, None)] * 2
        assert any(f"version 2 of stream {post_id}" in one.reason for one in parked)
        assert all(b"forged" in bytes(one.value or b"") for one in parked), "it can be seen"
    assert Post.objects.get().message == "the genuine second"
    assert assert_read_models_equal_the_fold() == 1
    assert not Checkpoint.objects.exclude(halted="").exists()


@pytest.mark.usefixtures("signing")
def test_a_forgery_does_not_keep_a_relay_from_starting(
    mode: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    post_id = a_post()
    publish_all()
    for which in ("unsigned", "another secret", "a stolen signature"):
        publish(FORGERIES[which](forged(post_id)))
    with caplog.at_level(logging.ERROR, "postlog.relay"):
        log_identity.require_same_history(current_bus())
    assert "3 records are passed over. The first: A forged record at partition" in caplog.text


@pytest.mark.usefixtures("signing")
def test_a_store_that_is_behind_still_keeps_a_relay_from_starting(database: Mode) -> None:
    """What it lacks is signed with a key that it has."""
    post_id = a_post()
    publish_all()
    publish(signed_by(ONE, forged(post_id)))
    with pytest.raises(HistoryMismatch, match="The store is behind the topic"):
        log_identity.require_same_history(current_bus())


@pytest.mark.usefixtures("signing")
def test_an_invented_key_does_not_keep_a_relay_from_starting(
    database: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    """It is reported by itself, as it may be a key that this machine has lost."""
    post_id = a_post()
    publish_all()
    publish(signed_by(TWO, forged(post_id)), forged(post_id), signed_by(TWO, forged(uuid4(), 1)))
    with caplog.at_level(logging.ERROR, "postlog.relay"):
        log_identity.require_same_history(current_bus())
    assert "2 records are passed over. The first: A record at partition" in caplog.text
    assert "key 'two', which POSTLOG" in caplog.text
    assert "1 records are passed over. The first: A forged record" in caplog.text
    refused = here("restore-events")
    assert (refused.returncode, "signed with key 'two'" in refused.stderr) == (1, True)
    assert here("restore-events", "--ignore-unsigned").returncode == 0
    with keys(ONE, TWO), pytest.raises(HistoryMismatch, match="The store is behind the topic"):
        log_identity.require_same_history(current_bus())


@pytest.mark.usefixtures("signing")
def test_a_forgery_is_not_restored_and_is_told(database: Mode) -> None:
    post_id = a_post()
    edited(post_id, "the genuine second")
    publish_all()
    publish(forged(post_id), forged(post_id, 3), signed_by(WRONG, forged(uuid4(), 1)))
    consume_everything()
    verified = here("verify", "--patience", "0")
    assert verified.stdout.count("a forged record, which nobody applies") == 3
    assert verified.stdout.count("\n") == 3, verified.stdout
    wipe_store()
    done = here("restore-events")
    assert done.returncode == 0, done.stderr
    assert "2 events of 1 streams were restored" in done.stdout
    assert "3 records without a right signature were left out" in done.stdout
    repository = LogRepository(current_bus(), "post", lambda _, event: event)
    assert repository.load(post_id) == MessageUpdated(post_id=post_id, message="the genuine second")
    assert here("restore-events").returncode == 0


@pytest.mark.usefixtures("signing")
def test_rejecting_a_forgery_ends_what_is_told_of_it(database: Mode) -> None:
    post_id = a_post()
    publish_all()
    publish(message := forged(post_id))
    consume_everything()
    partition = partition_of(message.key, 12)
    event_id = here("verify", "--patience", "0").stdout.partition("is event ")[2].partition(":")[0]
    assert here("reject-record", str(partition), "1", event_id).returncode == 0
    assert not DeadLetter.objects.exists()
    assert here("verify", "--patience", "0").stdout == f"{NO_DIFFERENCE}\n"


@pytest.mark.usefixtures("signing")
def test_a_rebuild_from_the_log_passes_over_forgeries(mode: Mode) -> None:
    post_id = a_post()
    publish(forged(post_id, 1), forged(post_id, 2))
    edited(post_id, "the genuine second")
    publish_all()
    consume_all()
    for source in ("log", "store"):
        built = rebuild(posts, source)
        assert (built.state, built.error) == ("done", "")
        assert assert_read_models_equal_the_fold(built.generation) == 1


def retried() -> None:
    AutomaticRetry(posts).run_if_due(1, ALL)


@pytest.mark.parametrize("lacking", [[ONE], [ONE, ("two", WRONG[1])]], ids=["key", "secret"])
def test_what_a_ring_cannot_verify_is_tried_again_with_another_ring(
    database: Mode, lacking: Sequence[Key]
) -> None:
    """Nothing is lost, and nothing is applied twice or in another order."""
    with keys(TWO):
        first = a_post("first")
        edited(first, "second")
        publish_all()
    with keys(*lacking):
        assert consume_all() == {}
        with keys(TWO, ONE):
            edited(first, "third")
            publish_all()
        with keys(ONE):
            edited(first, "fourth")
            publish_all()
        assert consume_all() == {}
        retried()
        code = "unknown key" if len(lacking) == 1 else "forged"
        assert codes() == [code, code, code, "gap"]
        assert not Post.objects.exists()
    with keys(ONE, TWO):
        retrying = AutomaticRetry(posts)
        while DeadLetter.objects.exists():
            retrying.run_if_due(1, ALL)
            assert retrying._next_run == 0 or not DeadLetter.objects.exists()
    assert Post.objects.get().message == "fourth"
    assert assert_read_models_equal_the_fold() == 1


def test_a_repeat_that_was_parked_for_its_key_changes_nothing_later(database: Mode) -> None:
    with keys(TWO):
        post_id = a_post()
        publish_all()
    with keys(ONE):
        consume_all()
        assert here("republish", "--all").returncode == 0
        edited(post_id, "second")
        publish_all()
        consume_all()
        assert Post.objects.get().version == 2
    with keys(ONE, TWO):
        retried()
    assert not DeadLetter.objects.exists()
    assert Post.objects.get().version == 2


def test_what_was_refused_for_its_signature_is_never_believed_without_one(database: Mode) -> None:
    with keys(ONE):
        publish(forged(uuid4(), 1), signed_by(WRONG, forged(uuid4(), 1)))
        consume_all()
    with keys(ONE, signs=False):
        retried()
        for dead_letter in DeadLetter.objects.all():
            resolving.retry(dead_letter)
    with keys(TWO):
        retried()
        for dead_letter in DeadLetter.objects.all():
            resolving.retry(dead_letter)
    assert sorted(codes()) == ["forged", "unknown key"]
    assert not Post.objects.exists()


def test_keys_rotate_while_everything_runs(mode: Mode) -> None:
    with keys(ONE):
        post_id = a_post()
        publish_all()
    with keys(ONE, TWO), Running() as consumer:
        wait_until(lambda: Post.objects.filter(version=1).exists(), "the first is shown")
        with keys(TWO, ONE):
            edited(post_id, "second")
            publish_all()
        wait_until(lambda: Post.objects.filter(version=2).exists(), "the second is shown")
    assert consumer.error is None
    with keys(TWO, ONE):
        assert rebuild(posts, "log").state == "done"
        assert assert_read_models_equal_the_fold(2) == 1
        behind = here("verify", "--patience", "0").stdout.count("\n")
        assert behind == len(PROJECTIONS) - 1, "the others wait"


@contextmanager
def ending(deadline_s: float) -> Iterator[Flag]:
    """A flag for what ought to have raised long before: without it the test would never end."""
    stop = Flag()
    timer = Timer(deadline_s, stop.set)
    timer.start()
    try:
        yield stop
    finally:
        timer.cancel()


def test_a_process_that_has_lost_its_keys_stops(mode: Mode) -> None:
    with keys(ONE, signs=None if mode.bus == "kafka" else True):
        post_id = a_post()
        publish_all()
        consume_all()
        edited(post_id, "second")
    with keys(signs=None):
        with ending(60) as stop, pytest.raises(NoKeys, match=r'"RECORD_KEYS".* is empty here'):
            Relay(current_bus()).run(stop)
        with Running() as consumer:
            wait_until(lambda: consumer.error is not None, "the consumer stops")
        assert isinstance(consumer.error, NoKeys)
        refused = here("restore-events")
        assert refused.returncode == 1
        assert '["RECORD_KEYS"] is empty here' in refused.stderr
    with keys(signs=False):
        log_identity.require_same_history(current_bus())
    assert outbox.waiting() == 1


def test_keys_that_are_set_on_a_topic_with_unsigned_records(database: Mode) -> None:
    """What was read goes on; what is older is not taken for missing by anybody in silence."""
    old = a_post("old")
    publish_all()
    consume_all()
    with keys(ONE):
        edited(old, "signed")
        publish_all()
        assert consume_all() == {}
        log_identity.require_same_history(current_bus())
        assert Post.objects.get().message == "signed"
        verified = here("verify", "--patience", "0").stdout
        assert f"stream {old}: versions 1 are not in the log" in verified
        wipe_store()
        refused = here("restore-events")
        assert refused.returncode == 1
        assert "of before records were signed" in refused.stderr
    with keys(ONE, signs=False):
        assert here("restore-events").returncode == 0
    with keys(ONE):
        assert here("republish", "--all").returncode == 0
        publish_all()
        wipe_store()
        assert here("restore-events").returncode == 0, "signed, it is there as well"
        assert Event.objects.count() == 2


def test_a_new_topic_is_signed_from_its_beginning(database: Mode) -> None:
    a_post("old")
    publish_all()
    consume_all()
    with keys(ONE):
        recreate_topic(database)
        assert here("republish", "--all", "--accept-new-log").returncode == 0
        publish_all()
        for name in PROJECTIONS:
            assert here("rebuild", name, "--from", "store").returncode == 0
            assert rebuild(PROJECTIONS[name], "log").state == "done"
        assert not DeadLetter.objects.exists()
        done = here("verify", "--patience", "0")
        assert (done.returncode, done.stdout) == (0, f"{NO_DIFFERENCE}\n")


@pytest.mark.usefixtures("signing")
def test_a_missing_key_is_named_before_anything_is_restored(database: Mode) -> None:
    with keys(TWO):
        a_post()
        publish_all()
    a_post()
    publish_all()
    wipe_store()
    refused = here("restore-events")
    assert refused.returncode == 1
    assert "signed with key 'two', which POSTLOG" in refused.stderr
    assert not Event.objects.exists()
    [lost] = [one for one in _records() if (one.signature or b"").startswith(b"two")]
    repository = LogRepository(current_bus(), "post", lambda _, event: event)
    with pytest.raises(HistoryMismatch, match="cannot be verified"):
        repository.load(UUID((lost.key or b"").decode()))
    with keys(ONE, TWO):
        assert here("restore-events").returncode == 0
    assert Event.objects.count() == 2


def test_likes_of_a_forger_are_not_counted(mode: Mode) -> None:
    with keys(ONE):
        post_id = a_post()
        mediator.send(LikePost(post_id=post_id), BOB)
        publish_all()
        publish(record_of(post_id, 3, PostCreated(post_id=post_id, author="eve", message="x")))
        consume_all()
        assert Post.objects.get().likes == 1
        assert Post.objects.get().author == "alice"
