"""What `manage.py check --deploy` says besides: of the log, and of the way to it."""

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Info, Warning, register

from messaging import conf
from messaging.bus import current_bus
from messaging.exceptions import BusError


@register(deploy=True)
def the_log_is_set_up_to_keep_history(**kwargs: Any) -> list[CheckMessage]:
    if conf.faults():
        return []
    try:
        hazards = current_bus().hazards()
    except BusError as error:
        hint = "Run it again where the broker can be reached."
        return [Info(f"The log could not be asked: {error}", hint=hint, id="postlog.I001")]
    return [Warning(hazard, id="postlog.W010") for hazard in hazards]


@register(deploy=True)
def the_broker_is_not_spoken_to_in_plain_text(**kwargs: Any) -> list[CheckMessage]:
    """Who can read along on the way reads the events and the password, and can change them."""
    if conf.faults():
        return []
    kafka = conf.postlog().kafka
    protocol = kafka.security.get("security_protocol", "PLAINTEXT")
    servers = kafka.bootstrap_servers.split(",") if kafka.bootstrap_servers else []
    far = [server.strip() for server in servers if not _is_loopback(server)]
    if settings.DEBUG or not far or protocol.endswith("SSL"):
        return []
    wanted = "SASL_SSL" if protocol.startswith("SASL") else "SSL, or SASL_SSL with a password"
    return [
        Warning(
            f"The broker {far[0]} is spoken to in plain text (security_protocol is {protocol}).",
            hint=f'In POSTLOG["KAFKA"]["security"] set security_protocol to {wanted}, and '
            "ssl_cafile to the certificate that the broker's is signed with.",
            id="postlog.W011",
        )
    ]


@register(deploy=True)
def records_are_signed(**kwargs: Any) -> list[CheckMessage]:
    if conf.faults() or not conf.postlog().kafka.bootstrap_servers or conf.signs_records():
        return []
    return [
        Warning(
            "Records are not signed: whoever can write to the topic can write history.",
            hint='Set POSTLOG["RECORD_KEYS"], as docs/operations.md says (Signed records).',
            id="postlog.W012",
        )
    ]


def _is_loopback(server: str) -> bool:
    """Of `host:port`, as a client takes it."""
    host = urlsplit(f"//{server.strip().rpartition('//')[2]}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
