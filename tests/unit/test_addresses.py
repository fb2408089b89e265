"""From which address a request comes, behind proxies and without."""

import logging
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import RequestFactory, override_settings

from web import addresses
from web.addresses import address_of, network_of


@pytest.fixture(autouse=True)
def nothing_was_said() -> Iterator[None]:
    addresses.warn_of_proxy.cache_clear()
    yield
    addresses.warn_of_proxy.cache_clear()


def asked(peer: str, forwarded: str | None, proxies: int) -> tuple[str, str]:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    request = RequestFactory(REMOTE_ADDR=peer).get("/", headers=headers)
    api = {**settings.REST_FRAMEWORK, "NUM_PROXIES": proxies}
    with override_settings(REST_FRAMEWORK=api):
        return address_of(request), network_of(request)


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "address"),
    [
        ("192.0.2.1", None, 0, "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", 0, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1, 203.0.113.9", 1, "203.0.113.9"),
        ("192.0.2.1", "198.51.100.1,203.0.113.9", 2, "198.51.100.1"),
        ("192.0.2.1", "203.0.113.9", 3, "203.0.113.9"),
        ("192.0.2.1", "203.0.113.9:5123", 1, "203.0.113.9"),
        ("192.0.2.1", "[2001:db8::1]:5123", 1, "2001:db8::1"),
        ("192.0.2.1", "203.0.113.9 address=198.51.100.1", 1, "192.0.2.1"),
        ("192.0.2.1", 'fe80::1%x name="root" seconds=1', 1, "fe80::1"),
        ("fe80::1%eth0", None, 0, "fe80::1"),
        ("192.0.2.1", "", 1, "192.0.2.1"),
        ("::ffff:192.0.2.1", None, 0, "192.0.2.1"),
        ("", None, 0, "unknown"),
        ("unix:", None, 1, "unknown"),
    ],
)
def test_only_trusted_proxies_are_believed(
    peer: str, forwarded: str | None, proxies: int, address: str
) -> None:
    assert asked(peer, forwarded, proxies)[0] == address


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
    ],
)
def test_an_ipv6_network_counts_as_one(peer: str, network: str) -> None:
    assert asked(peer, None, 0)[1] == network


def test_a_proxy_that_is_not_believed_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    asked("192.0.2.1", None, 0)
    asked("192.0.2.1", "203.0.113.9", 1)
    assert caplog.records == []
    for _ in range(3):
        asked("192.0.2.1", "203.0.113.9", 0)
    [line] = caplog.records
    assert (line.name, line.levelno) == ("postlog.addresses", logging.WARNING)
    assert 'REST_FRAMEWORK["NUM_PROXIES"] is 0' in line.getMessage()
