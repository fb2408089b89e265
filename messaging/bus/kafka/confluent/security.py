"""POSTLOG["KAFKA"]["security"], which names the arguments of kafka-python, for librdkafka."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from messaging.bus.kafka.oauth import PROVIDER, SETTING, Tokens, tokens

NAMES = {
    "security_protocol": "security.protocol",
    "sasl_mechanism": "sasl.mechanism",
    "sasl_plain_username": "sasl.username",
    "sasl_plain_password": "sasl.password",
    "sasl_kerberos_service_name": "sasl.kerberos.service.name",
    "ssl_cafile": "ssl.ca.location",
    "ssl_certfile": "ssl.certificate.location",
    "ssl_keyfile": "ssl.key.location",
    "ssl_password": "ssl.key.password",
    "ssl_crlfile": "ssl.crl.location",
    "ssl_ciphers": "ssl.cipher.suites",
}
CHECK_HOSTNAME = "ssl_check_hostname"


def security(given: Mapping[str, Any]) -> dict[str, Any]:
    """Raises `ImproperlyConfigured` for what librdkafka cannot do: ignored, it would leave a
    connection less safe than it was meant to be."""
    for name in given:
        if name not in {*NAMES, CHECK_HOSTNAME, PROVIDER}:
            raise ImproperlyConfigured(
                f'POSTLOG["KAFKA"]["security"]["{name}"] is for kafka-python alone. Leave it out, '
                f'or leave out POSTLOG["KAFKA"]["client"]. confluent-kafka takes '
                f"{', '.join(sorted([*NAMES, CHECK_HOSTNAME, PROVIDER]))}."
            )
    found = {NAMES[name]: value for name, value in given.items() if name in NAMES}
    if not given.get(CHECK_HOSTNAME, True):
        found["ssl.endpoint.identification.algorithm"] = "none"
    if PROVIDER in given:
        source = tokens(given)
        if source is None:
            raise ImproperlyConfigured(f"{SETTING} has to be the dotted path of a function.")
        found["oauth_cb"] = lambda _config: _answer(source)
    return found


def _answer(source: Tokens) -> tuple[str, float, str, dict[str, str]]:
    token = source.current()
    return token.value, token.expires_at, "", dict(token.extensions)
