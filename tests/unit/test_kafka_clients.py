"""Which client speaks to Kafka, and with which arguments."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured

from messaging import conf
from messaging.bus.base import Fetched
from messaging.bus.kafka import CLIENTS, kafka_bus
from messaging.bus.kafka import bus as kafka_bus_module
from messaging.bus.kafka.bus import UNKNOWN_TOPIC, Cluster, Described
from messaging.bus.kafka.confluent.positions import Positions
from messaging.bus.kafka.confluent.security import NAMES, security
from messaging.bus.kafka.oauth import Tokens
from messaging.checks import settings_are_right
from messaging.exceptions import BusError, HistoryMismatch
from messaging.testing.bus_members import numbered
from messaging.testing.waiting import wait_until
from tests.support.settings import postlog

UNREACHED = {"bootstrap_servers": "127.0.0.1:1", "topic": "of_these_tests"}
OAUTH = {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}


def bus_of(client: str, **given: Any) -> Any:
    with postlog(kafka={**UNREACHED, "client": client, "security": given}):
        return kafka_bus(conf.postlog().kafka)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_setting_chooses_the_client(client: str) -> None:
    assert type(bus_of(client)).__module__ == CLIENTS[client][0]


def test_another_client_is_a_fault_of_the_settings() -> None:
    with postlog(kafka={"client": "librdkafka"}):
        (error,) = settings_are_right()
    assert error.msg.startswith('POSTLOG["KAFKA"]["client"] is wrong: Invalid enum value')


@pytest.mark.parametrize(
    ("client", "package"), [("kafka-python", "kafka"), ("confluent", "confluent_kafka")]
)
def test_a_client_that_is_not_installed_is_named_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, client: str, package: str
) -> None:
    module, _, extra = CLIENTS[client]
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith((module, f"{package}."))]:
        monkeypatch.delitem(sys.modules, name)
    with postlog(kafka={**UNREACHED, "client": client}):
        (error,) = settings_are_right()
    assert f'pip install "postlog[{extra}]"' in error.msg


# --- what kafka-python's arguments are called by librdkafka ---------------------------------------


def test_confluent_gets_all_that_makes_the_way_safe() -> None:
    given = {name: f"of {name}" for name in NAMES}
    assert security(given) == {NAMES[name]: value for name, value in given.items()}
    assert security({"ssl_check_hostname": True}) == {}
    unchecked = {"ssl.endpoint.identification.algorithm": "none"}
    assert security({"ssl_check_hostname": False}) == unchecked


def test_librdkafka_knows_every_name() -> None:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    for name in NAMES.values():
        try:
            AdminClient({name: "nonsense"})
        except KafkaException as error:
            assert "No such configuration property" not in str(error)  # noqa: PT017


def test_what_confluent_does_not_take_is_refused_and_not_left_out() -> None:
    with postlog(kafka={**UNREACHED, "client": "confluent", "security": {"ssl_context": 1}}):
        (error,) = settings_are_right()
    assert '["security"]["ssl_context"] is for kafka-python alone' in error.msg


@pytest.mark.parametrize(
    ("name", "meant"),
    [("sasl_username", "Did you mean 'sasl_plain_username'?"), ("ssl_ciphers", "all clients")],
)
def test_what_kafka_python_does_not_know_is_a_fault_of_the_settings(name: str, meant: str) -> None:
    """Its clients would refuse it for ever, one connection after the other."""
    with postlog(kafka={**UNREACHED, "security": {name: "x"}}):
        (error,) = settings_are_right()
    assert f'["security"]["{name}"] is not an argument' in error.msg
    assert meant in error.msg


@pytest.mark.parametrize("value", ["{folder}/ca.pem", "{folder}", "-----BEGIN", "a\0b", 3, True])
def test_a_file_that_cannot_be_read_is_a_fault_of_the_settings(value: Any, tmp_path: Path) -> None:
    """The error at each connection would not say which."""
    value = value.format(folder=tmp_path) if isinstance(value, str) else value
    with postlog(kafka={**UNREACHED, "security": {"ssl_cafile": value}}):
        (error,) = settings_are_right()
    assert '["security"]["ssl_cafile"] names no file that this process can read' in error.msg


def test_a_file_that_is_there_is_taken(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    assert bus_of("kafka-python", ssl_cafile=str(tmp_path / "ca.pem"), ssl_keyfile=None)


# --- tokens ---------------------------------------------------------------------------------------

NOW = 1_000_000.0
asked: list[float] = []


def token() -> tuple[str, float, dict[str, str]]:
    asked.append(NOW)
    return f"token {len(asked)}", NOW + 100, {"logicalCluster": "lkc-1"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [NOW]
    monkeypatch.setattr("messaging.bus.kafka.oauth.time", SimpleNamespace(time=lambda: now[0]))
    asked.clear()
    return now


def test_a_token_is_given_out_until_a_fifth_of_its_life_is_left(clock: list[float]) -> None:
    source = Tokens(token)
    assert source.current() == ("token 1", NOW + 100, {"logicalCluster": "lkc-1"})
    clock[0] = NOW + 79
    assert source.current().value == "token 1"
    clock[0] = NOW + 80
    assert source.current().value == "token 2"


@pytest.mark.usefixtures("clock")
def test_both_clients_ask_the_function_that_the_settings_name() -> None:
    given = {**OAUTH, "sasl_oauth_token_provider": f"{__name__}.token"}
    provider = bus_of("kafka-python", **given).client["sasl_oauth_token_provider"]
    assert (provider.token(), provider.extensions()) == ("token 1", {"logicalCluster": "lkc-1"})
    answer = security(given)["oauth_cb"]("")
    assert answer == ("token 2", NOW + 100, "", {"logicalCluster": "lkc-1"})


@pytest.mark.parametrize("client", CLIENTS)
def test_a_token_provider_that_cannot_be_imported_is_a_fault_of_the_settings(client: str) -> None:
    given = {**OAUTH, "sasl_oauth_token_provider": "shop.no_such.token"}
    with postlog(kafka={**UNREACHED, "client": client, "security": given}):
        (error,) = settings_are_right()
    assert '["sasl_oauth_token_provider"] cannot be imported: No module named' in error.msg


def test_confluent_takes_no_provider_of_kafka_python() -> None:
    with pytest.raises(ImproperlyConfigured, match="has to be the dotted path of a function"):
        security({**OAUTH, "sasl_oauth_token_provider": object()})


def test_the_id_of_a_topic_is_written_as_kafka_python_does() -> None:
    from confluent_kafka import Uuid

    from messaging.bus.kafka.confluent.client import _as_uuid

    topic = UUID("f13d1c2b-9bb1-4d61-a7ab-8a2de3bbf0f1")
    halves = [int.from_bytes(half, signed=True) for half in (topic.bytes[:8], topic.bytes[8:])]
    assert _as_uuid(Uuid(*halves)) == str(topic)


# --- what librdkafka returned ---------------------------------------------------------------------

EOF, RESET = -191, -140


def came(partition: int, offset: int, error: int | None = None) -> Any:
    fault = None if error is None else SimpleNamespace(code=lambda: error)
    return SimpleNamespace(
        error=lambda: fault, partition=lambda: partition, offset=lambda: offset,
        key=lambda: b"k", value=lambda: b"v", headers=list,
    )  # fmt: skip


def sought(**offsets: int) -> Positions:
    found = Positions()
    for name, offset in offsets.items():
        found.sought(int(name[1:]), offset)
    return found


def told(fetched: Fetched) -> tuple[dict[int, list[tuple[int, int]]], dict[int, int]]:
    records, passed = fetched
    return {p: [(r.offset, r.gap) for r in part] for p, part in records.items()}, passed


def test_gaps_are_counted_from_the_offset_that_was_sought() -> None:
    positions = sought(p3=5)
    assert told(positions.take([came(3, 7), came(3, 8)])) == ({3: [(7, 2), (8, 0)]}, {})
    assert told(positions.take([came(3, 11)])) == ({3: [(11, 2)]}, {})


def test_an_offset_that_was_passed_already_is_a_loss() -> None:
    with pytest.raises(HistoryMismatch, match="Partition 3: asked for offset 5, got 4"):
        sought(p3=5).take([came(3, 4)])


def test_an_end_behind_what_was_returned_is_passed_over_by_the_next_answer() -> None:
    positions = sought(p1=0, p2=0)
    both = positions.take([came(1, 0), came(1, 2, EOF), came(2, 4, EOF)])
    assert told(both) == ({1: [(0, 0)]}, {2: 4})
    assert positions.has_more()
    assert told(positions.take([])) == ({}, {1: 2})
    assert not positions.has_more()


def test_an_end_that_is_where_it_stands_is_nothing_new() -> None:
    positions = sought(p1=3)
    assert told(positions.take([came(1, 3, EOF)])) == ({}, {})
    assert not positions.has_more()


def test_what_was_not_sought_gives_nothing() -> None:
    positions = sought(p1=0)
    positions.forget()
    assert told(positions.take([came(1, 0), came(1, 7, EOF)])) == ({}, {})


def test_an_error_comes_after_the_records_that_came_with_it() -> None:
    positions = sought(p1=0, p2=9)
    assert told(positions.take([came(2, 9, RESET), came(1, 0)])) == ({1: [(0, 0)]}, {})
    fault = positions.fault()
    assert fault is not None
    assert (fault.partition, fault.offset) == (2, 9)
    assert positions.fault() is None


def test_a_seek_takes_the_error_of_its_partition_back() -> None:
    positions = sought(p2=9)
    positions.take([came(2, 9, RESET)])
    positions.sought(2, 0)
    assert positions.fault() is None


# --- a broker that is away ------------------------------------------------------------------------


def test_a_publisher_that_gives_up_says_why_and_keeps_nothing_that_could_still_go_out() -> None:
    bus = bus_of("confluent")
    bus.publish_timeout_s = 0.3
    publisher = bus.publisher()
    producer = publisher._producer
    wait = publisher.send(numbered(3))
    assert len(producer) >= 3
    wait_until(lambda: producer.flush(0.1) and publisher._trouble.recent(), "it is refused")
    with pytest.raises(BusError, match=r"not acknowledged: Transport: .*Connection refused"):
        wait()
    assert len(producer) == 0
    with pytest.raises(BusError, match="this publisher is closed"):
        publisher.publish(numbered(1))


# --- a topic that is new ----------------------------------------------------------------------


def answering(client: str, monkeypatch: pytest.MonkeyPatch, codes: list[int]) -> Any:
    """A bus whose brokers say so of the topic, one after the other, the last for ever."""
    bus = bus_of(client)

    def describe() -> Described:
        code = codes.pop(0) if len(codes) > 1 else codes[0]
        return Described(code, "id", [3] * bus.partitions)

    monkeypatch.setattr(bus, "_describe", describe)
    monkeypatch.setattr(bus, "_cluster", lambda: Cluster("cluster", 3))
    return bus


@pytest.mark.parametrize("client", CLIENTS)
def test_a_broker_that_does_not_know_a_new_topic_yet_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    """It would be taken for one that was deleted, and stop a worker that has just started."""
    bus = answering(client, monkeypatch, [0, UNKNOWN_TOPIC, UNKNOWN_TOPIC, 0])
    bus.ensure_topic()
    assert bus.identity().topic == "id"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("knew", [True, False], ids=["once there", "never seen"])
def test_a_topic_that_is_gone_is_named(
    monkeypatch: pytest.MonkeyPatch, client: str, knew: bool
) -> None:
    monkeypatch.setattr(kafka_bus_module, "SPREADS_WITHIN_S", 0.01 if knew else 3_600)
    bus = answering(client, monkeypatch, [0, UNKNOWN_TOPIC] if knew else [UNKNOWN_TOPIC])
    if knew:
        bus.ensure_topic()
    with pytest.raises(HistoryMismatch, match="has no topic 'of_these_tests'"):
        bus.identity()
