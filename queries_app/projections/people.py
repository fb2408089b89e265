"""How much each person has written: totals over the posts, which are streams of their own.

The events of a person's posts lie in several partitions and change one row, so one consumer takes
in all of them. What the functions write must not depend on the order in which streams come, which
a rebuild does not keep: sums, counts, the earliest.
"""

from contracts.posts import STREAM_TYPE, PostCreated, PostRemoved, date_of
from messaging import Projection, Rows
from queries_app.models import Person

people = Projection("people", of=STREAM_TYPE, models=[Person], single_owner=True)


@people.on(PostCreated, rows=lambda e: [(Person, e.author)])
def post_created(event: PostCreated, rows: Rows) -> None:
    at = date_of(event, rows.envelope.recorded_at)
    person = rows.get(Person, event.author) or rows.add(Person(username=event.author, since=at))
    person.since = min(person.since, at)
    person.posts += 1


@people.on(PostRemoved, rows=lambda _, envelope: [(Person, envelope.actor)])
def post_removed(event: PostRemoved, rows: Rows) -> None:
    """Only its author removes a post. When they began to write stays known."""
    rows.require(Person, rows.envelope.actor).posts -= 1
