"""`manage.py demo`"""

from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from commands_app.commands import AddComment, EditMessage, LikePost, NewPost
from messaging import Context, send

PASSWORD = "postlog-demo"
NAMESPACE = UUID("0d5a3f0e-7a3b-5f0e-8d4e-5b1c6f1f3c21")


def demo_id(name: str) -> UUID:
    return uuid5(NAMESPACE, name)


WELCOME, GARDEN, BREAD = demo_id("welcome"), demo_id("garden"), demo_id("bread")
SENT: list[tuple[str, Any]] = [
    ("alice", NewPost(post_id=WELCOME, message="Welcome to Postlog! Sign in and write something.")),
    ("bob", NewPost(post_id=GARDEN, message="The first tomatoes are red.")),
    ("carol", NewPost(post_id=BREAD, message="How long do you let sourdough rest?")),
    ("bob", LikePost(post_id=WELCOME)),
    ("carol", LikePost(post_id=WELCOME)),
    ("alice", LikePost(post_id=GARDEN)),
    ("alice", AddComment(post_id=GARDEN, comment_id=demo_id("c1"), text="In October?")),
    ("bob", AddComment(post_id=GARDEN, comment_id=demo_id("c2"), text="It was a warm one.")),
    ("bob", AddComment(post_id=BREAD, comment_id=demo_id("c3"), text="Overnight, in the fridge.")),
    ("carol", EditMessage(post_id=BREAD, message="How long do you let your sourdough rest?")),
]


class Command(BaseCommand):
    help = "Create demo people and posts for a first look. Running it again changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo has known passwords: it is made only with DEBUG=on.")
        model = get_user_model()
        for name in ("alice", "bob", "carol", "admin"):
            if not model.objects.filter(username=name).exists():
                create = (
                    model.objects.create_superuser if name == "admin" else model.objects.create_user
                )
                create(name, password=PASSWORD)
        for number, (actor, command) in enumerate(SENT):
            # With an id of its own, each is carried out only the first time.
            send(command, Context(actor=actor, command_id=demo_id(f"command {number}")))
        self.stdout.write(f"Sign in as alice, bob, carol or admin (staff), password {PASSWORD}")
