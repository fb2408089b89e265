"""Who an actor is: the project's business. By default, every name that a username can be."""

from messaging.access import Asker, NamedAsker
from messaging.exceptions import Invalid
from messaging.plausible import is_username


class Actors:
    """Asked by `sendcommands` and `restore-events` for each actor they meet. A project with
    accounts of its own names a subclass in POSTLOG["ACTORS"], which finds or creates them:

        POSTLOG = {"ACTORS": "customers.actors.CustomerActors"}
    """

    def __init__(self, *, existing: bool = False) -> None:
        """`existing`: they have acted before, so their names stay valid, whatever a rule for new
        ones says."""
        self._existing = existing
        self.made = 0  # accounts

    def username(self, actor: str) -> str:
        """The name under which the actor's events are stored. Raises `Invalid` for what is none."""
        if not is_username(actor):
            raise Invalid("invalid_actor", f"{ascii(actor)[:60]} cannot be a username.")
        return actor

    def asker(self, username: str) -> Asker:
        """What rights the actor has (`@command(who=...)`). By default, none but to have a name."""
        return NamedAsker(username)
