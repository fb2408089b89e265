"""What a broker that refuses is answered with: the right that is missing, and not the request."""

import pytest
from kafka.errors import (
    BrokerNotAvailableError,
    GroupAuthorizationFailedError,
    KafkaError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
)

from messaging.bus.kafka.refusals import explained

NO_PRODUCER_ID = KafkaError(
    "Unexpected error in InitProducerIdResponse: [Error 31] ClusterAuthorizationFailedError"
)
NOT_MADE = TopicAuthorizationFailedError(
    "Request 'CreateTopicsRequest(version=7, topics=[...])' failed with response '...'"
)


@pytest.mark.parametrize(
    ("error", "writing", "right"),
    [
        (TopicAuthorizationFailedError("posts.events"), False, "Grant it Read, Describe and"),
        (TopicAuthorizationFailedError("posts.events"), True, "grant it Write on the topic"),
        (NO_PRODUCER_ID, False, "grant it Write on the topic"),
        (GroupAuthorizationFailedError("postlog.posts.posts.events"), False, "Read on the groups"),
        (NOT_MADE, False, "start a relay that may Create it"),
    ],
)
def test_a_refusal_names_the_right_that_is_missing_and_who_lacks_it(
    error: KafkaError, writing: bool, right: str
) -> None:
    said = explained(error, "posts.events", "postlog-reader", writing=writing)
    assert said.startswith("the broker refuses User:postlog-reader. ")
    assert right in said
    assert "Request" not in said


def test_a_client_without_a_name_is_this_process() -> None:
    said = explained(TopicAuthorizationFailedError("posts.events"), "posts.events", "")
    assert said.startswith("the broker refuses this process. ")


def test_who_cannot_connect_is_told_to_look_at_the_password_too() -> None:
    said = explained(KafkaTimeoutError("Unable to bootstrap from ['a:9092']"), "posts.events", "")
    assert "Unable to bootstrap from ['a:9092'] (if they can be reached" in said
    assert "does the password belong to the user?" in said


def test_other_errors_stay_as_they_are() -> None:
    error = BrokerNotAvailableError("away")
    assert explained(error, "posts.events", "x") == f"BrokerNotAvailableError: {error}"
