"""Who may send a command or ask a query: `@command(who=staff)`, `@query(who=anyone)`.

A rule is a function of the asker, or the name of a permission. The mediator applies it, so it holds
whatever the message comes through: the API, a page, a file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import getdoc
from typing import Protocol

from messaging.exceptions import Forbidden, NotSignedIn

ANONYMOUS = "-"  # the actor of what nobody who is signed in sends, as in the log of a web server


class Asker(Protocol):
    """Who sends a command or asks a query: a user of Django's or its AnonymousUser, or a name."""

    @property
    def is_authenticated(self) -> bool: ...
    @property
    def is_active(self) -> bool: ...
    @property
    def is_staff(self) -> bool: ...
    def get_username(self) -> str: ...
    def has_perm(self, perm: str, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class NamedAsker:
    """Somebody of whom only the name is known, and who therefore has no rights."""

    name: str

    @property
    def is_authenticated(self) -> bool:
        return self.name not in ("", ANONYMOUS)

    @property
    def is_active(self) -> bool:
        return self.is_authenticated

    @property
    def is_staff(self) -> bool:
        return False

    def get_username(self) -> str:
        return self.name

    def has_perm(self, perm: str, /) -> bool:
        return False


NOBODY = NamedAsker("")  # not Django's AnonymousUser, which takes its app for accounts
Who = str | Callable[[Asker], bool]


def anyone(asker: Asker) -> bool:
    """Anyone."""
    return True


def signed_in(asker: Asker) -> bool:
    """Whoever is signed in."""
    return asker.is_authenticated


def staff(asker: Asker) -> bool:
    """Staff."""
    return asker.is_authenticated and asker.is_active and asker.is_staff


def permits(who: Who, asker: Asker) -> bool:
    return asker.has_perm(who) if isinstance(who, str) else bool(who(asker))


def require(who: Who, asker: Asker) -> None:
    """Raise `NotSignedIn` or `Forbidden` unless the rule permits the asker."""
    if permits(who, asker):
        return
    if not asker.is_authenticated:
        raise NotSignedIn
    raise Forbidden("permission_denied", refusal_of(who))


def refusal_of(who: Who) -> str:
    return f"You may not do this. Who may: {sentence(who)}"


def sentence(who: Who) -> str:
    """Say who may: of a function, the first line of its docstring."""
    if isinstance(who, str):
        return f"Whoever has the permission {who}."
    found = getdoc(who)
    name = f"{who.__module__}.{getattr(who, '__qualname__', who)}"
    return found.splitlines()[0] if found else f"Whoever {name} lets."
