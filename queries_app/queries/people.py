"""What people may ask about people."""

from dataclasses import dataclass, field
from datetime import datetime

from messaging import NotFound, Query, answers, anyone, live, query
from queries_app.fields import NAME, USERNAME
from queries_app.models import Person
from queries_app.projections.people import people


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonView:
    username: str = field(metadata=NAME)
    posts: int  # without removed ones
    since: datetime  # when they wrote the first one, be it removed or not


@query(who=anyone)
@dataclass(frozen=True, slots=True, kw_only=True)
class FindPerson(Query[PersonView]):
    """How much a person has written, and since when."""

    username: str = field(metadata=USERNAME)


@answers(FindPerson, people)
def find_person(query: FindPerson) -> PersonView:
    person = live(people, Person).filter(username=query.username).first()
    if person is None:
        raise NotFound("person_not_found", "Nobody of that name has written a post.", "username")
    return PersonView(username=person.username, posts=person.posts, since=person.since)
