"""The state of a post, folded from the events in the store."""

from uuid import UUID

from commands_app.post import Post, evolve
from messaging import codec
from messaging.eventstore.models import Event


def folded(post_id: UUID) -> Post | None:
    state = None
    for event in Event.objects.filter(stream_id=post_id).order_by("version"):
        state = evolve(state, codec.decode_event(event.type, event.data))
    return state
