"""The history checker itself: a good history breaks no rule, and each bad one breaks its rule."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest

from tests.faults.history import fold, recorder
from tests.faults.history.checker import check, report
from tests.faults.history.facts import (
    Answer,
    Command,
    Ended,
    Event,
    Facts,
    Foreign,
    Forged,
    Page,
    Probe,
    Published,
    Read,
    Repeat,
)
from tests.faults.history.rules import RULES
from tests.support.processes import ROOT

SPACE = UUID(int=7)
POST, OTHER, COMMENT, DRAFT = (uuid5(SPACE, name) for name in ("post", "other", "comment", "draft"))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HISTORY: list[tuple[str, UUID, str, dict[str, Any], dict[str, Any]]] = [
    # command, post, actor, what else it says, what else its event says
    ("new-post", POST, "alice", {"message": "one"}, {"author": "alice"}),
    ("like-post", POST, "bob", {}, {"username": "bob"}),
    ("add-comment", POST, "bob", {"comment_id": str(COMMENT), "text": "a"}, {"author": "bob"}),
    ("edit-message", POST, "alice", {"message": "two"}, {}),
    ("edit-comment", POST, "bob", {"comment_id": str(COMMENT), "text": "b"}, {}),
    ("new-post", OTHER, "bob", {"message": "gone"}, {"author": "bob"}),
    ("delete-post", OTHER, "bob", {}, {}),
]
KINDS = {
    "new-post": "post_created", "like-post": "post_liked", "add-comment": "comment_added",
    "edit-message": "message_updated", "edit-comment": "comment_updated",
    "delete-post": "post_removed",
}  # fmt: skip


def good() -> Facts:
    """Seven commands, one that changes nothing, one refusal, reads, and all that follows."""
    found = Facts()
    versions: dict[UUID, int] = {}
    for number, (name, post, actor, says, more) in enumerate(HISTORY):
        versions[post] = version = versions.get(post, 0) + 1
        body = {"post_id": str(post), **says}
        sent = command(name, post, actor, body, number, version=version)
        found.commands.append(sent)
        event = Event(
            *(number + 1, post, version, uuid5(SPACE, f"event {number}")),
            *(f"posts.{KINDS[name]}.v1", {**body, **more}),
            *(NOON + timedelta(seconds=number), actor, sent.command_id),
        )
        found.events.append(event)
        place = (5 if post == POST else 6, number)
        found.log.append(
            Published(*place, str(post), post, version, event.event_id, event.type, event.data)
        )
    draft = Event(
        90, DRAFT, 1, uuid5(SPACE, "draft 1"), "posts.post_created.v1", {}, NOON, "x", SPACE
    )
    found.events.append(draft)
    found.log.append(Published(5, 90, str(DRAFT), DRAFT, 1, draft.event_id, draft.type, {}))
    found.foreign = [Foreign(DRAFT, 1)]
    found.forged = [Forged(uuid5(SPACE, "forged"))]
    found.log.append(Published(5, 91, str(POST), POST, 2, uuid5(SPACE, "forged"), "rubbish", {}))
    found.streams = {**versions, DRAFT: 1}
    body = {"post_id": str(POST)}
    found.commands += [
        command("like-post", POST, "bob", body, 20, version=5),
        command("delete-post", POST, "bob", body, 21, outcome="refused", code="not_author"),
    ]
    found.repeats = [Repeat(found.commands[0].command_id, 200, 1, "")]
    found.answers = [Answer("writer 1", "/", 503, "1", "away")]
    found.pages = [
        Page("tab 1", str(POST), 9.0, 200, True, False),
        Page("tab 2", str(POST), 9.1, 404, False, True),
    ]
    found.probes = [Probe("the health of the other server", 3.0, 20.0)]
    shown = {"author": "alice", "message": "two", "likes": 1, "comments_count": 1}
    found.reads = [
        read(9.0, version=4, token=4, seen=shown),
        read(9.5, version=5, token=5, seen=shown),
        read(9.6, version=5, query="find-post-history"),
        replace(read(9.7, token=2), post=OTHER, status=404),
    ]
    found.tables = fold.expected_tables(
        {stream: list(posts)[-1] for stream, posts in
         ((s, fold.replay(e)) for s, e in fold.by_stream(found.events).items() if s != DRAFT)}
    )  # fmt: skip
    return found


def command(
    name: str, post: UUID, actor: str, body: dict[str, Any], at: int, **more: Any
) -> Command:
    values: dict[str, Any] = {"outcome": "acknowledged", "status": 200, **more}
    if values["outcome"] == "refused":
        values["status"] = 403
    return Command(
        client="writer 1", actor=actor, name=name, post=post, body=body,
        command_id=uuid5(SPACE, f"command {at}"), sent_at=at, answered_at=at + 0.5, **values,
    )  # fmt: skip


def read(at: float, query: str = "find-post-by-id", **more: Any) -> Read:
    values: dict[str, Any] = {"status": 200, **more}
    return Read(
        client="reader 1", query=query, post=POST, sent_at=at, answered_at=at + 0.1, **values
    )


def without(index: int) -> Callable[[Facts], None]:
    def change(found: Facts) -> None:
        del found.events[index]

    return change


def changed(place: str, index: int, **values: Any) -> Callable[[Facts], None]:
    """One of the facts, with other values."""

    def change(found: Facts) -> None:
        one = getattr(found, place)[index]
        many = getattr(found, place)
        many[index] = one._replace(**values) if hasattr(one, "_replace") else replace(one, **values)

    return change


def added(place: str, make: Callable[[Facts], Any]) -> Callable[[Facts], None]:
    def change(found: Facts) -> None:
        getattr(found, place).append(make(found))

    return change


def in_tables(work: Callable[[Any], Any]) -> Callable[[Facts], None]:
    return lambda found: work(found.tables)


def in_level(**values: Any) -> Callable[[Facts], None]:
    return lambda found: vars(found.level).update(values)


def stored_twice(found: Facts) -> Event:
    return found.events[1]._replace(position=90, version=6, event_id=uuid5(SPACE, "twice"))


def swapped_in_the_log(found: Facts) -> None:
    found.log[0], found.log[1] = found.log[1], found.log[0]


BAD: dict[str, list[Callable[[Facts], None]]] = {
    "acknowledged_commands_are_stored_once": [
        without(4),  # lost
        added("events", stored_twice),
        changed("commands", 1, version=3),  # told another version
        changed("events", 3, data={"post_id": str(POST), "message": "not what was sent"}),
        changed("commands", 7, version=1),  # a like that had something to change
    ],
    "every_command_gets_its_outcome": [
        changed("commands", 8, outcome="unknown"),
    ],
    "refused_commands_are_never_stored": [
        changed("events", 4, command_id=uuid5(SPACE, "command 21")),
    ],
    "the_store_holds_only_what_was_sent": [
        changed("events", 4, command_id=uuid5(SPACE, "nobody's")),
        added("events", stored_twice),
    ],
    "versions_are_dense": [
        without(2),
        changed("events", 1, version=1),  # twice the same
        lambda found: found.streams.update({POST: 6}),
        lambda found: found.streams.update({uuid5(SPACE, "empty"): 1}),
        changed("events", 1, event_id=uuid5(SPACE, "event 0")),
        changed("events", 4, type="posts.post_created.v1"),
    ],
    "streams_of_other_domains_are_left_alone": [
        added("events", lambda found: stored_twice(found)._replace(stream=DRAFT, version=2)),
        changed("foreign", 0, events=0),  # it had been refused
    ],
    "recorded_times_never_go_back_within_a_stream": [
        changed("events", 1, recorded_at=NOON - timedelta(seconds=1)),
    ],
    "a_command_sent_after_an_answer_comes_later": [
        changed("commands", 7, version=4),
        changed("commands", 1, sent_at=8.0, answered_at=9.0),
    ],
    "the_same_command_gets_the_same_answer": [
        changed("repeats", 0, version=2),
        changed("repeats", 0, status=409, code="post_exists"),
    ],
    "refusals_are_just": [
        changed("commands", 8, code="throttled"),
        changed("commands", 8, code="post_not_found"),
        changed("commands", 8, code="post_removed"),
        changed("commands", 8, actor="alice"),
        changed("commands", 8, code="comment_not_found",
                body={"post_id": str(POST), "comment_id": str(COMMENT)}),
    ],
    "outages_are_503_with_retry_after": [
        changed("answers", 0, status=500),
        changed("answers", 0, status=401),
        changed("answers", 0, retry_after=""),
    ],
    "the_log_tells_the_store": [
        lambda found: found.log.pop(6),  # never published
        changed("log", 4, event_id=uuid5(SPACE, "of nobody")),
        lambda found: found.forged.clear(),
        changed("log", 4, data={"post_id": str(POST)}),
        changed("log", 4, key="another"),
        changed("log", 4, partition=7),
        swapped_in_the_log,
    ],
    "the_system_comes_to_rest": [
        in_level(outbox=1),
        in_level(lag={"posts": 3}),
        in_level(halted=["posts[3]: lost"]),
        in_level(dead_letters=["posts v3 poison"]),
    ],
    "read_models_equal_the_fold": [
        in_tables(lambda tables: tables.posts.pop(POST)),
        in_tables(lambda tables: tables.posts[POST].update(likes=2)),
        in_tables(lambda tables: tables.posts.update({uuid5(SPACE, "forged"): {"version": 1}})),
        in_tables(lambda tables: tables.comments[POST, COMMENT].update(text="a")),
        in_tables(lambda tables: tables.histories[POST].update(message="one")),
        in_tables(lambda tables: tables.entries.pop((POST, 3))),
        in_tables(lambda tables: tables.texts.clear()),
        in_tables(lambda tables: tables.likes[OTHER].update(visible=True)),
        in_tables(lambda tables: tables.like.update({(POST, "carol"): {}})),
    ],
    "no_read_is_older_than_its_token": [
        changed("reads", 0, version=3),
        changed("reads", 0, version=0, status=404),  # though nobody removed it
        changed("reads", 3, sent_at=4.0, answered_at=4.1),  # not yet removed
    ],
    "no_client_sees_a_post_go_back": [
        changed("reads", 1, version=3, token=0),
        changed("reads", 1, version=0, status=404, token=0),
    ],
    "a_read_shows_one_version_whole": [
        changed("reads", 0, seen={"likes": 0}),
        changed("reads", 1, version=6),
    ],
    "no_read_shows_what_was_sent_later": [
        changed("reads", 0, sent_at=0.1, answered_at=0.2),
    ],
    "pages_show_what_their_session_wrote": [changed("pages", 1, said=False)],
    "the_healthy_are_not_held_up": [changed("probes", 0, took_s=30.0)],
    "no_process_ends_by_itself": [
        added("ended", lambda _: Ended("consumer", 1, "it says why")),
    ],
}  # fmt: skip


def test_a_good_history_breaks_no_rule() -> None:
    found = good()
    assert check(found) == []
    assert "all rules hold" in report(found, [])


@pytest.mark.parametrize(
    ("rule", "number"),
    [(rule, number) for rule, changes in BAD.items() for number in range(len(changes))],
)
def test_each_bad_history_breaks_its_rule(rule: str, number: int) -> None:
    found = good()
    BAD[rule][number](found)
    violations = check(found)
    assert rule in {violation.rule for violation in violations}
    assert f"BROKEN {rule.replace('_', ' ')}" in report(found, violations)


def test_each_rule_has_a_bad_history() -> None:
    assert BAD.keys() == RULES.keys()


def test_what_was_recorded_is_what_is_judged(tmp_path: Path) -> None:
    found = good()
    record = recorder.Recorder(tmp_path / "record.jsonl")
    record.note("an act began")
    for line in (*found.commands, *found.reads, *found.repeats, *found.answers, *found.pages,
                 *found.probes, *found.foreign, *found.forged):  # fmt: skip
        record.write(line)
    record.close()
    loaded = recorder.load(tmp_path / "record.jsonl")
    assert (loaded.commands, loaded.reads) == (found.commands, found.reads)
    assert (loaded.repeats, loaded.answers) == (found.repeats, found.answers)
    assert (loaded.foreign, loaded.forged) == (found.foreign, found.forged)
    assert (loaded.pages, loaded.probes) == (found.pages, found.probes)


def test_the_checker_uses_none_of_the_projects_code() -> None:
    """A fault of the project's code would else be in both."""
    script = (
        "import sys, tests.faults.history.checker\n"
        "ours = ('messaging', 'commands_app', 'queries_app', 'accounts', 'config', 'django')\n"
        "sys.exit(', '.join(name for name in ours if name in sys.modules) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
