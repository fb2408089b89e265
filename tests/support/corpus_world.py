"""What is there when the corpus of bad input is sent, and the look at what became of it."""

import json
from typing import Any
from uuid import UUID

from accounts.models import User
from commands_app.commands import AddComment, DeletePost, LikePost, NewPost, RemoveComment
from messaging import mediator
from messaging.eventstore.models import Event
from messaging.message import Context
from messaging.projections.registry import PROJECTIONS
from tests.support.consuming import consume_all
from tests.support.corpus import IDS, Case, written_out
from tests.support.relaying import publish_all

PASSWORD = "a heron at the weir"
MAX_ANSWER_BYTES = 5_000  # bytes of JSON

ID = {name: UUID(text) for name, text in IDS.items()}


def make_world() -> None:
    """alice, bob, carol and root, of the staff, with the posts and comments of the corpus."""
    people = {name: User(username=name) for name in ("alice", "bob", "carol")}
    people["root"] = User(username="root", is_staff=True, is_superuser=True)
    for user in people.values():
        user.set_password(PASSWORD)
        user.save()
    alice, bob = Context(actor="alice"), Context(actor="bob")
    for command, context in (
        (NewPost(message="The weir", post_id=ID["POST"]), alice),
        (NewPost(message="The mill", post_id=ID["BOBS"]), bob),
        (NewPost(message="Not for long", post_id=ID["REMOVED"]), alice),
        (DeletePost(post_id=ID["REMOVED"]), alice),
        (AddComment(post_id=ID["POST"], comment_id=ID["COMMENT"], text="Mine"), alice),
        (AddComment(post_id=ID["POST"], comment_id=ID["REMARK"], text="And mine"), bob),
        (AddComment(post_id=ID["POST"], comment_id=ID["GONE"], text="Oh"), alice),
        (RemoveComment(post_id=ID["POST"], comment_id=ID["GONE"]), alice),
        (AddComment(post_id=ID["BOBS"], comment_id=ID["ELSEWHERE"], text="Here"), alice),
        (LikePost(post_id=ID["POST"]), bob),
    ):
        mediator.send(command, context)
    publish_all()
    for projection in PROJECTIONS.values():
        consume_all(projection)


class Findings:
    """What came otherwise than the corpus has it, of all cases of a test."""

    def __init__(self) -> None:
        self._wrong: list[str] = []
        self._seen = 0
        self._stored = Event.objects.count()

    def compare(self, case: Case, expected: object, came: object) -> None:
        """Once for each case."""
        self._seen += 1
        self.compare_also(case, expected, came)

    def compare_also(self, case: Case, expected: object, came: object) -> None:
        if expected != came:
            self._wrong.append(
                f"{case}\n    expected {expected!s:.300}\n    came     {came!s:.300}"
            )

    def look_at_the_store(self, case: Case, status: int) -> None:
        """Who is refused has stored nothing."""
        before, self._stored = self._stored, Event.objects.count()
        if status >= 400 and before != self._stored:
            self._wrong.append(f"{case}\n    refused, but it stored something")

    def require_none(self, of: int) -> None:
        assert self._seen == of > 0, "every case was looked at"
        assert not self._wrong, f"{len(self._wrong)} of {of}:\n" + "\n".join(self._wrong)


def in_words(answer: Any) -> str:
    """An answer of the API as the corpus writes it: `400 required post_id, blank message`."""
    is_json = answer.get("Content-Type", "").startswith("application/json")
    if is_json and answer.status_code >= 400 and len(answer.content) >= MAX_ANSWER_BYTES:
        return f"{answer.status_code} in {len(answer.content)} bytes"
    try:
        errors = json.loads(answer.content).get("errors", [])
    except ValueError:
        return str(answer.status_code)
    told = (f"{e['code']} {e['attr']}" if e["attr"] is not None else e["code"] for e in errors)
    return f"{answer.status_code} {', '.join(told)}".strip()


def as_expected(case: Case, came: str) -> str:
    """What to expect: with `, ...` at its end only the first error counts."""
    expected = written_out(case.expected)
    if expected.endswith(", ..."):
        first = expected.removesuffix("...")
        return came if came.startswith(first) else expected
    return expected
