"""Who the actors of a file of commands are: accounts, with their rights."""

from messaging import Actors, Asker

from .models import User


class AccountActors(Actors):
    def asker(self, username: str) -> Asker:
        return User.objects.filter(email=username).first() or super().asker(username)
