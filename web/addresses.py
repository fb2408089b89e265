"""From which address a request comes, as the counters and the security log have it."""

import logging
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from django.http import HttpRequest
from rest_framework.settings import api_settings

IPV6_SITE = 64  # bits: whoever has one address of such a network has all 2^64 of them

log = logging.getLogger("postlog.addresses")


@cache
def warn_of_proxy() -> None:
    """Warn once a process."""
    log.warning(
        'a request carries X-Forwarded-For, and REST_FRAMEWORK["NUM_PROXIES"] is 0: if a proxy '
        "stands in front, all clients count as one address. Set it to the number of your proxies"
    )


def address_of(request: HttpRequest) -> str:
    """Who asks: the peer, or, behind proxies, whom the outermost trusted one has seen. What is no
    address there was not written by a proxy, and is not believed."""
    peer: str = request.META.get("REMOTE_ADDR") or ""
    forwarded: str = request.META.get("HTTP_X_FORWARDED_FOR", "")
    proxies: Any = api_settings.NUM_PROXIES
    if forwarded and not proxies:
        warn_of_proxy()
    if forwarded and proxies:
        seen = forwarded.split(",")
        found = _parsed(seen[-min(proxies, len(seen))])
        if found is not None:
            return str(found)
    return str(_parsed(peer) or "unknown")  # a Unix socket has no address


def network_of(request: HttpRequest) -> str:
    """What counts as one address: for IPv6 the network, because nobody has one address there."""
    address = address_of(request)
    if ":" not in address:
        return address
    return str(ip_network((address, IPV6_SITE), strict=False))


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """The address, without a port; an IPv4 address also where it is written as IPv6."""
    text = text.strip()
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    host = host.partition("%")[0]  # an interface of that host's, in whatever characters
    try:
        found = ip_address(host)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
