"""The accounts of actors that come from elsewhere: from files of commands, from the log."""

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from messaging.exceptions import Invalid


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
    field = model._meta.get_field("username")
    try:
        field.run_validators(actor)
        actor.encode()
    except (ValidationError, UnicodeEncodeError):
        raise Invalid("invalid_actor", f"{ascii(actor)[:60]} cannot be a username.") from None
    if not actor:
        raise Invalid("invalid_actor", "A username is not empty.")
    known = model.objects.filter(username__iexact=actor).values_list("username", flat=True)
    if (found := known.first()) is not None:
        return found, False
    user = model(username=actor)
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:  # somebody else has just made it
        if (found := known.first()) is None:
            raise
        return found, False
    return actor, True
