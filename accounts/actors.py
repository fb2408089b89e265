"""The accounts of actors that come from elsewhere: from files of commands, from the log.
POSTLOG["ACTORS"] names the class."""

from functools import cached_property
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError

from messaging import ANONYMOUS, Actors, Asker, Invalid, is_username

MAX_LENGTH = 254  # characters of a username, where its column says nothing


class AccountActors(Actors):
    """Finds or creates the account of each name; remembers what it has seen."""

    def __init__(self, *, existing: bool = False) -> None:
        """A user model whose rule for new names existing ones need not meet has
        `create_existing(username)`, which raises `ValidationError` if somebody has the name."""
        super().__init__(existing=existing)
        self._known: dict[str, str] = {}

    def username(self, actor: str) -> str:
        """The username of the account, which is made, without a password, if there is none.

        Names are unique regardless of case. Raises `Invalid` for what is no username.
        """
        if self._existing and actor == ANONYMOUS:
            return actor
        known = self._known.get(actor)
        if known is None:
            known = self._known[actor] = self._find_or_create(actor)
        return known

    def asker(self, username: str) -> Asker:
        return Account(username)

    def _find_or_create(self, actor: str) -> str:
        if not _is_storable(actor) or (self._existing and not is_username(actor)):
            raise Invalid("invalid_actor", f"{ascii(actor)[:60]} cannot be a username.")
        # PostgreSQL's iexact takes U+0131, the dotless i, for an I. Existing names are their own.
        lookup = "exact" if self._existing else "iexact"
        if (found := _found(actor, lookup)) is not None:
            return found
        try:
            self._create(actor)
        except ValidationError as error:
            if (found := _found(actor, "iexact")) is not None:  # somebody else has just made it
                return found
            why = " ".join(error.messages)
            detail = f"{ascii(actor)[:60]} cannot be a username. {why}"
            raise Invalid("invalid_actor", detail) from None
        self.made += 1
        return actor

    def _create(self, actor: str) -> None:
        model = get_user_model()
        create_existing = getattr(model, "create_existing", None)
        if self._existing and create_existing is not None:
            create_existing(actor)
            return
        user = model(**{model.USERNAME_FIELD: actor})
        user.set_unusable_password()
        user.save()


class Account:
    """The account of a name. Looked up once a rule asks for more than the name: few do, and a file
    has many lines."""

    is_authenticated = True

    def __init__(self, username: str) -> None:
        self._username = username

    def get_username(self) -> str:
        return self._username

    @property
    def is_active(self) -> bool:
        return bool(self._user.is_active)

    @property
    def is_staff(self) -> bool:
        return bool(self._user.is_staff)

    def has_perm(self, perm: str, /) -> bool:
        return bool(self._user.has_perm(perm))

    def __getattr__(self, name: str) -> Any:
        """What else a project's rule asks its users for."""
        return getattr(self._user, name)

    @cached_property
    def _user(self) -> Any:
        model = get_user_model()
        people = model._default_manager.filter(**{model.USERNAME_FIELD: self._username})
        return people.first() or AnonymousUser()


def _found(actor: str, lookup: str) -> str | None:
    model = get_user_model()
    people = model._default_manager.filter(**{f"{model.USERNAME_FIELD}__{lookup}": actor})
    return people.values_list(model.USERNAME_FIELD, flat=True).first()


def _is_storable(actor: str) -> bool:
    """Whether the column takes it at all. What is no name now may have been one once."""
    try:
        actor.encode()
    except UnicodeEncodeError:
        return False
    # SQLite compares with nothing that is very long, and says so as if it were away.
    model = get_user_model()
    field = model._meta.get_field(model.USERNAME_FIELD)
    longest = getattr(field, "max_length", None) or MAX_LENGTH
    return 0 < len(actor) <= longest and "\0" not in actor
