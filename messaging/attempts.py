"""Failed sign-ins are counted, and after a few the next ones are refused unseen.

Guessing costs a guesser time, and each guess would cost the server a password hash.
"""

import time
from hashlib import sha256

from django.core.cache import cache
from django.http import HttpRequest
from rest_framework.throttling import BaseThrottle

WINDOW_S = 300
OF_A_NAME = 10  # failures of one name from one address
OF_AN_ADDRESS = 50


def address_of(request: HttpRequest) -> str:
    """Who asks; behind proxies as TRUSTED_PROXIES says."""
    return BaseThrottle().get_ident(request)  # type: ignore[arg-type]  # it reads META only


def must_wait_s(request: HttpRequest, username: str) -> int:
    """Seconds until another try is looked at; 0: now."""
    found = cache.get_many(_limits(request, username))
    waits = [
        until for key, (count, until) in found.items() if count >= _limits(request, username)[key]
    ]
    return max(0, round(max(waits, default=0) - time.time()))


def failed(request: HttpRequest, username: str) -> None:
    """Count a wrong password."""
    for key in _limits(request, username):
        count, until = cache.get(key) or (0, time.time() + WINDOW_S)
        cache.set(key, (count + 1, until), timeout=max(1, until - time.time()))


def _limits(request: HttpRequest, username: str) -> dict[str, int]:
    address = address_of(request)
    return {
        _key(address, username.casefold()): OF_A_NAME,
        _key(address): OF_AN_ADDRESS,
    }


def _key(*parts: str) -> str:
    return "sign-in:" + sha256("\0".join(parts).encode(errors="replace")).hexdigest()
