"""What others do to the store and to the log, with the project's code:

`python -m tests.faults.history.others append STREAM SIZE` is another domain that appends an
event with so long a text to a stream of its own; it prints whether that was stored.
`python -m tests.faults.history.others forge STREAM VERSION` is somebody who may write to the
topic: a record that no relay wrote; it prints the event's id.
"""

import os
import sys
from uuid import UUID, uuid4

import django

ANOTHER_TYPE = "draft"


def append(stream_id: UUID, size: int) -> str:
    from contracts.posts import PostCreated
    from messaging.eventstore.unit_of_work import unit_of_work
    from messaging.exceptions import DomainError
    from messaging.message import Context

    event = PostCreated(post_id=stream_id, author="others", message="x" * size)
    try:
        with unit_of_work(Context(actor="others")) as uow:
            uow.append(ANOTHER_TYPE, stream_id, 0, [event])
    except DomainError as refused:
        return refused.code
    return "stored"


def forge(stream_id: UUID, version: int) -> str:
    from contracts.posts import MessageUpdated
    from tests.support.records import publish, record_of

    event_id = uuid4()
    event = MessageUpdated(post_id=stream_id, message="forged")
    publish(record_of(stream_id, version, event, event_id=event_id))
    return str(event_id)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    action, stream, number = sys.argv[1:]
    print({"append": append, "forge": forge}[action](UUID(stream), int(number)))  # noqa: T201
