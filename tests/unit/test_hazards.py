"""How a topic can lose history, seen from its description."""

from typing import Any

import pytest

from messaging.bus.hazards import Topic, hazards_of

SAFE = {
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "cleanup.policy": "delete",
    "unclean.leader.election.enable": "false",
    "min.insync.replicas": "1",
}


def topic(configuration: dict[str, str] = SAFE, **values: Any) -> Topic:
    found = {"partitions": 12, "configured_partitions": 12, "brokers": 1, "replicas": 1} | values
    return Topic(name="t", configuration=configuration, **found)


@pytest.mark.parametrize(
    "safe",
    [
        topic(),
        topic(brokers=3, replicas=3, configuration=SAFE | {"min.insync.replicas": "2"}),
        topic(brokers=5, replicas=3, configuration=SAFE | {"min.insync.replicas": "2"}),
        topic(brokers=2, replicas=2),
        topic(SAFE | {"max.message.bytes": "1048588"}),
    ],
)
def test_a_topic_as_postlog_makes_it_has_no_hazard(safe: Topic) -> None:
    assert hazards_of(safe) == []


@pytest.mark.parametrize(
    ("hazardous", "says"),
    [
        (topic(partitions=13), 'has 13 partitions, POSTLOG["KAFKA"]["partitions"] says 12'),
        (topic(brokers=2), "has 1 replicas on 2 brokers"),
        (topic(brokers=3, replicas=2), "has 2 replicas on 3 brokers"),
        (topic(brokers=3, replicas=3), "--add-config min.insync.replicas=2"),
        (topic(SAFE | {"retention.ms": "604800000"}), "by their age (retention.ms=604800000)"),
        (topic(SAFE | {"retention.bytes": "1000"}), "--add-config retention.bytes=-1"),
        (topic(SAFE | {"cleanup.policy": "compact"}), "is compacted"),
        (topic(SAFE | {"cleanup.policy": "compact,delete"}), "is compacted"),
        (topic(SAFE | {"unclean.leader.election.enable": "true"}), "lets a broker lead"),
        (topic(SAFE | {"max.message.bytes": "1048587"}), "refuses large events"),
        (topic(SAFE | {"max.message.bytes": "1"}), "--add-config max.message.bytes=1048588"),
        (topic({}), "Grant DescribeConfigs"),
    ],
)
def test_each_hazard_is_said_with_its_cure(hazardous: Topic, says: str) -> None:
    [hazard] = hazards_of(hazardous)
    assert says in hazard
    assert hazard.startswith("The topic 't' ")
