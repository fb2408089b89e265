"""Writers that put a store under load: `python -m tests.support.load SEED STREAMS COMMANDS OUT`.

Each command is written down in OUT before it is sent and after it was committed, so that
the test knows what must be there, may be there, and must not be there.
"""

import os
import random
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

NAMESPACE = UUID("5d3f3f3e-0a51-5c0e-9a6b-3f7f0f0e9d11")


def stream(number: int) -> UUID:
    return uuid5(NAMESPACE, f"stream {number}")


class Undone(Exception):
    """Rolls a command back after it has appended."""


def main(seed: int, streams: int, count: int, out: Path) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from commands_app.commands import AddComment, EditMessage, LikePost, UnlikePost
    from messaging import mediator
    from messaging.eventstore.unit_of_work import unit_of_work
    from messaging.exceptions import ConcurrencyError, ConcurrentChange, DomainError
    from messaging.message import Context

    chance = random.Random(seed)
    actor = f"writer{seed}"

    def send(work: Any) -> None:
        try:
            work()
            log.write("done\n")
        except (DomainError, Undone, ConcurrencyError, ConcurrentChange):
            log.write("refused\n")

    def several(post_id: UUID, *, undo: bool) -> None:
        """Two events in one transaction, which is late or taken back."""
        from commands_app.handlers import posts
        from contracts.posts import MessageUpdated

        with unit_of_work(Context(actor=actor)) as uow:
            found = posts.load(uow, post_id)
            texts = [f"{actor} {chance.random()}" for _ in range(2)]
            posts.save(uow, found, [MessageUpdated(post_id=post_id, message=t) for t in texts])
            if undo:
                raise Undone

    with out.open("w", buffering=1) as log:
        for _ in range(count):
            post_id = stream(chance.randrange(streams))
            kind = chance.random()
            if kind < 0.1:
                send(lambda: several(post_id, undo=True))  # noqa: B023  # called at once
            elif kind < 0.3:
                send(lambda: several(post_id, undo=False))  # noqa: B023
            else:
                command = chance.choice(
                    [
                        EditMessage(post_id=post_id, message=f"{actor} {chance.random()}"),
                        LikePost(post_id=post_id),
                        UnlikePost(post_id=post_id),
                        AddComment(post_id=post_id, text=f"{actor} {chance.random()}"),
                    ]
                )
                author = Context(actor="author" if isinstance(command, EditMessage) else actor)
                send(lambda: mediator.send(command, author))  # noqa: B023


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
