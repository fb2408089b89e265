"""How many passwords are looked at, and how many accounts are made.

A look at a password costs a hash, which is expensive on purpose, so every one is counted: right
or wrong, and whichever door it came through. The rule, and what it leaves to a stranger:
docs/decisions/0027-counters-and-limits.md.
"""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from rest_framework.exceptions import AuthenticationFailed

from accounts import security_log
from accounts.actors import MAX_LENGTH
from messaging import TooManyRequests
from web import counters
from web.addresses import network_of
from web.counters import Count, Window

WRONG = (ValidationError, AuthenticationFailed)  # how forms and the API say that one was wrong

# With the API's default limit: 60 right ones of a person a minute, 120 of any kind from an address.
LEAST_OF_A_PERSON = 60
SHARE_OF_API_RATE = 20
RIGHT = Window("right-passwords", 60)
HASHES = Window("hashes", 60)
SIGN_UPS = Window("sign-ups", 3600)


@dataclass(frozen=True)
class WrongOnes:
    """At most so many wrong passwords in a window. Those that are being looked at count too, so
    that tries at the same time are not all the last one."""

    most: int
    wrong: Window
    under_way: Window

    def enter(self, who: str) -> tuple[int, Count]:
        """Begin a try. Return in how many seconds it is welcome, 0: now; and what ends it."""
        begun = counters.add(self.under_way, who)
        wrong = counters.look(self.wrong, who)
        if wrong.number >= self.most:
            return wrong.reset_s, begun
        return (1 if wrong.number + begun.number > self.most else 0), begun

    def fail(self, who: str) -> None:
        counters.add(self.wrong, who)

    def leave(self, who: str, begun: Count) -> None:
        counters.take_back(self.under_way, who, begun)


# Both windows of a limit end together. A process that is killed leaves its tries for that long.
OF_A_NAME = WrongOnes(10, Window("wrong-name", 300), Window("trying-name", 300))
OF_AN_ADDRESS = WrongOnes(50, Window("wrong-address", 300), Window("trying-address", 300))


@contextmanager
def password(request: HttpRequest, username: str, door: str = "sign-in") -> Iterator[None]:
    """Within this a password of the name is looked at; `WRONG` says that it was wrong. Raises
    `TooManyRequests` instead of entering."""
    name, address = normalised(username), network_of(request)
    tries = ((OF_A_NAME, f"{address}\0{name}"), (OF_AN_ADDRESS, address))
    (name_wait_s, of_name), (address_wait_s, of_address) = (
        limit.enter(who) for limit, who in tries
    )
    try:
        wait_s = _wait_s(username, address, name_wait_s, address_wait_s)
        if wait_s:
            security_log.record(f"{door} must wait", request, name=username, seconds=wait_s)
            detail = f"Too many passwords. Try again in {wait_s} seconds."
            raise TooManyRequests(detail, wait_s)
        try:
            yield
        except WRONG:
            for limit, who in tries:
                limit.fail(who)
            security_log.record(f"{door} refused", request, name=username)
            raise
        counters.add(RIGHT, name)
    finally:
        for (limit, who), begun in zip(tries, (of_name, of_address), strict=True):
            limit.leave(who, begun)


def sign_up(request: HttpRequest) -> None:
    """Count an account that is about to be made. Raises `TooManyRequests`."""
    address = network_of(request)
    hashes, made = counters.add(HASHES, address), counters.add(SIGN_UPS, address)
    wait_s = hashes.reset_s if hashes.number > _of_an_address() else 0
    if settings.SIGN_UP_RATE and made.number > settings.SIGN_UP_RATE:
        wait_s = made.reset_s
    if wait_s:
        security_log.record("sign-up must wait", request, seconds=wait_s)
        minutes = -(-wait_s // 60)
        detail = f"Too many people have signed up from your address. Try again in {minutes} min."
        raise TooManyRequests(detail, wait_s)


def normalised(username: str) -> str:
    """The name as the sign-in form looks for it, regardless of case."""
    return unicodedata.normalize("NFKC", username).strip().casefold()


def _wait_s(username: str, address: str, name_wait_s: int, address_wait_s: int) -> int:
    """In how many seconds a password of the name may be looked at; 0: now, and that is counted.

    An address that is over its limit may still try names that exist: else whoever shares it with
    somebody who guesses would be locked out.
    """
    right = counters.look(RIGHT, normalised(username))
    if right.number >= _of_a_person():
        return right.reset_s
    if name_wait_s:
        return name_wait_s
    if address_wait_s and not _exists(username):
        return address_wait_s
    hashes = counters.add(HASHES, address)
    return hashes.reset_s if hashes.number > _of_an_address() else 0


def _exists(username: str) -> bool:
    """Whether somebody has exactly this name, as Django looks for it: the sign-in form in NFKC,
    Basic as it was sent. No secret: names stand under posts, and the sign-up form tells too."""
    model = get_user_model()
    names = {username, unicodedata.normalize("NFKC", username)}
    # Databases take no NUL, no surrogate and nothing that is very long.
    known = [name for name in names if len(name) <= MAX_LENGTH and name.isprintable()]
    return model._default_manager.filter(**{f"{model.USERNAME_FIELD}__in": known}).exists()


def _of_a_person() -> int:
    """Right passwords of one person a minute: never more than requests."""
    rate = settings.API_RATE
    most = max(LEAST_OF_A_PERSON, rate // SHARE_OF_API_RATE)
    return min(rate, most) if rate else most


def _of_an_address() -> int:
    return 2 * _of_a_person()
