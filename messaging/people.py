"""The accounts of actors that come from elsewhere: from files of commands, from the log."""

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from messaging.exceptions import Invalid

LONGEST = 150  # characters of a username, in every release


class People:
    """Knows or makes the account of each name; remembers what it has seen."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self.made = 0

    def username(self, actor: str) -> str:
        """The username of the account, which is made, without a password, if there is none.

        Names are unique regardless of case. Raises `Invalid` for what is no username.
        """
        known = self._known.get(actor)
        if known is None:
            known = self._known[actor] = self._find_or_create(actor)
        return known

    def _find_or_create(self, actor: str) -> str:
        found, made = _found_or_made(actor)
        self.made += made
        return found


def _found_or_made(actor: str) -> tuple[str, bool]:
    model = get_user_model()
    if not _is_storable(actor):
        raise Invalid("invalid_actor", f"{ascii(actor)[:60]} cannot be a username.")
    known = model.objects.filter(username__iexact=actor).values_list("username", flat=True)
    if (found := known.first()) is not None:
        return found, False
    user = model(username=actor)
    user.set_unusable_password()
    try:
        user.save()
    except ValidationError as error:
        if (found := known.first()) is not None:  # somebody else has just made it
            return found, False
        why = " ".join(error.messages)
        raise Invalid("invalid_actor", f"{ascii(actor)[:60]} cannot be a username. {why}") from None
    return actor, True


def _is_storable(actor: str) -> bool:
    """Whether the column takes it at all. What is no name now may have been one once."""
    try:
        actor.encode()
    except UnicodeEncodeError:
        return False
    # SQLite compares with nothing that is very long, and says so as if it were away.
    return 0 < len(actor) <= LONGEST and "\0" not in actor
