"""What `check --deploy` says of the way to the broker."""

import pytest
from django.core.checks import CheckMessage
from django.test import override_settings

from messaging.deployment_checks import the_broker_is_not_spoken_to_in_plain_text
from tests.support.settings import postlog


def said(servers: str, security: dict[str, str], *, debug: bool = False) -> list[CheckMessage]:
    kafka = {"bootstrap_servers": servers, "security": security}
    with override_settings(DEBUG=debug), postlog(kafka=kafka):
        return the_broker_is_not_spoken_to_in_plain_text()


FAR = [
    "kafka.example:9092", "10.0.0.7:9092", "[2001:db8::7]:9092", "kafka.example",
    "127.0.0.1:9092,kafka.example:9092", "localhost.example:9092", "PLAINTEXT://10.0.0.7:9092",
]  # fmt: skip
NEAR = ["localhost:9092", "127.0.0.1:9092, 127.8.0.1:9093", "[::1]:9092", "localhost", ""]
TLS = [{"security_protocol": "SSL"}, {"security_protocol": "SASL_SSL"}]
PLAIN: list[dict[str, str]] = [
    {}, {"security_protocol": "PLAINTEXT"}, {"security_protocol": "SASL_PLAINTEXT"},
]  # fmt: skip


@pytest.mark.parametrize("servers", FAR)
@pytest.mark.parametrize("security", PLAIN)
def test_a_broker_elsewhere_is_not_spoken_to_in_plain_text(
    servers: str, security: dict[str, str]
) -> None:
    (warning,) = said(servers, security)
    assert warning.id == "postlog.W011"
    assert "set security_protocol to S" in (warning.hint or "")
    assert "ssl_cafile" in (warning.hint or "")
    assert said(servers, security, debug=True) == []


@pytest.mark.parametrize("servers", NEAR)
def test_a_broker_on_this_machine_may_be(servers: str) -> None:
    assert said(servers, {}) == []


@pytest.mark.parametrize("security", TLS)
def test_nothing_is_said_of_a_broker_behind_tls(security: dict[str, str]) -> None:
    assert said("kafka.example:9092", security) == []
