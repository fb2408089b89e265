"""The promises, one function each: it takes the facts and yields what breaks its promise."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any
from uuid import UUID

from tests.faults.history import facts, fold
from tests.faults.history.facts import ACKNOWLEDGED, REFUSED, UNKNOWN, Command, Event, Facts

Rule = Callable[["Known"], Iterator[str]]
RULES: dict[str, Rule] = {}
PAGES = "page-"  # how the names of those who write by form begin


class Known:
    """The facts, with what several rules look up in them."""

    def __init__(self, found: Facts) -> None:
        self.facts = found
        self.foreign = {one.post: one.events for one in found.foreign}  # stream -> events
        own = [event for event in found.events if event.stream not in self.foreign]
        self.streams = fold.by_stream(own)
        self.by_command: dict[UUID, list[Event]] = {}
        for event in own:
            self.by_command.setdefault(event.command_id, []).append(event)
        self.sent = {command.command_id: command for command in found.commands}
        self.acknowledged = [one for one in found.commands if one.outcome == ACKNOWLEDGED]
        self.refused = [one for one in found.commands if one.outcome == REFUSED]
        self.removed_by = {
            event.stream: event.command_id
            for event in found.events
            if fold.kind_of(event.type) == "post_removed"
        }
        self.posts: dict[UUID, fold.Post] = {}  # as they are in the end
        self.impossible: dict[UUID, str] = {}
        self.shown: dict[fold.Key, facts.Row] = {}  # what a reader sees at each version
        self.unchanged: dict[UUID, bool] = {}  # command without event -> it had nothing to change
        self._replay()

    def _replay(self) -> None:
        silent: dict[fold.Key, list[Command]] = {}
        for command in self.acknowledged:
            if command.command_id not in self.by_command:
                silent.setdefault((command.post, command.version), []).append(command)
        for stream, events in self.streams.items():
            post = fold.Post()
            try:
                for post in fold.replay(events):
                    at = (stream, post.version)
                    self.shown[at] = post.shown()
                    for command in silent.get(at, ()):
                        self.unchanged[command.command_id] = changes_nothing(post, command)
            except fold.Impossible as error:
                self.impossible[stream] = str(error)
            self.posts[stream] = post


def changes_nothing(post: fold.Post, command: Command) -> bool:
    body = command.body
    match command.name:
        case "like-post":
            return command.actor in post.likers
        case "unlike-post":
            return command.actor not in post.likers
        case "edit-message":
            return bool(post.message == body["message"])
        case "edit-comment":
            comment = post.comments.get(UUID(body["comment_id"]))
            return comment is not None and comment["text"] == body["text"]
    return False


def rule(check: Rule) -> Rule:
    RULES[check.__name__] = check
    return check


# --- the store ---------------------------------------------------------------------------------


@rule
def acknowledged_commands_are_stored_once(known: Known) -> Iterator[str]:
    """With the version that was answered; or had nothing to change at that version."""
    for command in known.acknowledged:
        events = known.by_command.get(command.command_id, [])
        if len(events) > 1:
            yield f"{told(command)}: stored {len(events)} times, {list(map(named, events))}"
        elif not events and not known.unchanged.get(command.command_id, False):
            yield f"{told(command)}: not in the store, though it had something to change"
        elif events and (events[0].stream, events[0].version) != (command.post, command.version):
            yield f"{told(command)}: stored as {named(events[0])}"
        elif events and not says(events[0], command):
            yield f"{told(command)}: stored as {events[0].type} {events[0].data}"


KINDS = {
    "new-post": "post_created", "edit-message": "message_updated", "like-post": "post_liked",
    "unlike-post": "post_unliked", "add-comment": "comment_added",
    "edit-comment": "comment_updated", "remove-comment": "comment_removed",
    "delete-post": "post_removed",
}  # fmt: skip


def says(event: Event, command: Command) -> bool:
    """Whether the event is what the command asked for, by its actor."""
    wanted: dict[str, Any] = dict(command.body)
    if command.name in ("like-post", "unlike-post"):
        wanted["username"] = command.actor
    if command.name in ("new-post", "add-comment"):
        wanted["author"] = command.actor
    right = fold.kind_of(event.type) == KINDS[command.name] and event.actor == command.actor
    return right and all(event.data.get(name) == value for name, value in wanted.items())


@rule
def every_command_gets_its_outcome(known: Known) -> Iterator[str]:
    """At the latest when all is healed."""
    for command in known.facts.commands:
        if command.outcome == UNKNOWN:
            yield f"{told(command)}: no outcome after {command.attempts} attempts"


@rule
def refused_commands_are_never_stored(known: Known) -> Iterator[str]:
    for command in known.refused:
        for event in known.by_command.get(command.command_id, []):
            yield f"{told(command)}: stored as {named(event)}"


@rule
def the_store_holds_only_what_was_sent(known: Known) -> Iterator[str]:
    for command_id, events in known.by_command.items():
        by_form = events[0].actor.startswith(PAGES)  # forms have no key
        if command_id not in known.sent and not by_form:
            yield f"{named(events[0])}: nobody sent its command {command_id}"
        if len(events) > 1:
            yield f"command {command_id}: {len(events)} events, {list(map(named, events))}"


@rule
def versions_are_dense(known: Known) -> Iterator[str]:
    """From 1; the stream's own row has the last one; each event can happen to its post."""
    for stream, events in known.streams.items():
        versions = [event.version for event in events]
        if versions != list(range(1, len(versions) + 1)):
            yield f"{stream}: {gaps(versions)}"
        if known.facts.streams.get(stream) != versions[-1]:
            yield f"{stream}: last event {versions[-1]}, row {known.facts.streams.get(stream)}"
    for stream in known.facts.streams.keys() - known.streams.keys() - known.foreign.keys():
        yield f"{stream}: a row at version {known.facts.streams[stream]} without events"
    for stream, why in known.impossible.items():
        yield f"{stream}: impossible: {why}"
    ids = Counter(event.event_id for event in known.facts.events)
    for event_id, count in ids.items():
        if count > 1:
            yield f"the event id {event_id} is there {count} times"


@rule
def streams_of_other_domains_are_left_alone(known: Known) -> Iterator[str]:
    for stream, count in known.foreign.items():
        events = [event for event in known.facts.events if event.stream == stream]
        if len(events) > count:
            yield f"{stream}: {count} events were its own, now {list(map(named, events))}"


@rule
def recorded_times_never_go_back_within_a_stream(known: Known) -> Iterator[str]:
    for events in known.streams.values():
        for before, after in pairwise(events):
            if after.recorded_at < before.recorded_at:
                yield f"{named(after)}: recorded {after.recorded_at}, after {before.recorded_at}"


def gaps(versions: list[int]) -> str:
    missing = sorted(set(range(1, max(versions) + 1)) - set(versions))
    return f"{len(versions)} events up to version {max(versions)}; missing {missing[:10]}"


# --- what senders were told --------------------------------------------------------------------


@rule
def a_command_sent_after_an_answer_comes_later(known: Known) -> Iterator[str]:
    """On one post: sent when another had been answered, it has a later version."""
    of_post: dict[UUID, list[Command]] = {}
    for command in known.acknowledged:
        of_post.setdefault(command.post, []).append(command)
    for commands in of_post.values():
        answered = sorted(commands, key=lambda command: command.answered_at)
        highest: Command | None = None
        place = 0
        for command in sorted(commands, key=lambda command: command.sent_at):
            while answered[place].answered_at < command.sent_at:
                if highest is None or answered[place].version > highest.version:
                    highest = answered[place]
                place += 1
            stored = command.command_id in known.by_command
            if highest is not None and command.version < highest.version + stored:
                yield f"{told(command)}, sent after the answer to {told(highest)}"


@rule
def the_same_command_gets_the_same_answer(known: Known) -> Iterator[str]:
    for again in known.facts.repeats:
        command = known.sent[again.command_id]
        was = (command.status, command.version, command.code)
        if was != (again.status, again.version, again.code):
            yield f"{told(command)}; sent again: {again.status} v{again.version} {again.code}"


REFUSALS = {
    "post_removed", "post_exists", "post_not_found", "not_author", "not_comment_author",
    "comment_not_found", "comment_exists",
}  # fmt: skip


@rule
def refusals_are_just(known: Known) -> Iterator[str]:
    """By a rule of the domain, and not against what was acknowledged before."""
    made = {
        (one.post, one.body.get("comment_id")): one
        for one in known.acknowledged
        if one.name in ("new-post", "add-comment")
    }
    gone = {
        event.data.get("comment_id")
        for event in known.facts.events
        if fold.kind_of(event.type) == "comment_removed"
    }
    for command in known.refused:
        comment = command.body.get("comment_id")
        post_made, comment_made = made.get((command.post, None)), made.get((command.post, comment))
        wrong = {
            "post_not_found": post_made is not None and post_made.answered_at < command.sent_at,
            "post_removed": command.post not in known.removed_by,
            "not_author": post_made is not None and post_made.actor == command.actor,
            "not_comment_author": comment_made is not None and comment_made.actor == command.actor,
            "comment_not_found": comment_made is not None
            and comment_made.answered_at < command.sent_at
            and comment not in gone,
        }
        if command.code not in REFUSALS:
            yield f"{told(command)}: no rule of the domain"
        elif wrong.get(command.code):
            yield f"{told(command)}: against what was acknowledged"


@rule
def outages_are_503_with_retry_after(known: Known) -> Iterator[str]:
    for answer in known.facts.answers:
        if answer.status != 503:
            yield f"{answer.client} {answer.path}: {answer.status} {answer.text[:300]!r}"
        elif not answer.retry_after:
            yield f"{answer.client} {answer.path}: 503 without Retry-After, {answer.text[:300]!r}"


# --- the log -----------------------------------------------------------------------------------


@rule
def the_log_tells_the_store(known: Known) -> Iterator[str]:
    """Every event, nothing else, and the same; a stream in one partition, and in order when
    only the first occurrence of each event is looked at."""
    stored = {event.event_id: event for event in known.facts.events}
    forged = {one.event_id for one in known.facts.forged}
    seen: dict[UUID, int] = {}
    partitions: dict[UUID, set[int]] = {}
    published = set()
    for record in known.facts.log:
        if record.event_id in forged:
            continue
        where = f"[{record.partition}]@{record.offset} {record.stream} v{record.version}"
        event = stored.get(record.event_id)
        partitions.setdefault(record.stream, set()).add(record.partition)
        if event is None:
            yield f"{where}: no such event {record.event_id} in the store"
            continue
        if (event.stream, event.version, event.type, event.data) != (
            record.stream, record.version, record.type, record.data,
        ):  # fmt: skip
            yield f"{where}: the store has {named(event)} {event.data}"
        if record.key != str(record.stream):
            yield f"{where}: its key is {record.key}"
        if record.event_id not in published and record.version != seen.get(record.stream, 0) + 1:
            yield f"{where}: first seen after version {seen.get(record.stream, 0)}"
        published.add(record.event_id)
        seen[record.stream] = max(record.version, seen.get(record.stream, 0))
    for event_id, event in stored.items():
        if event_id not in published:
            yield f"{named(event)}: never published"
    for stream, several in partitions.items():
        if len(several) > 1:
            yield f"{stream}: in the partitions {sorted(several)}"


# --- the read side -----------------------------------------------------------------------------


@rule
def the_system_comes_to_rest(known: Known) -> Iterator[str]:
    """Nothing waits, halts or is parked."""
    level = known.facts.level
    if level.outbox:
        yield f"outbox: {level.outbox}"
    yield from (f"lag of {name}: {lag}" for name, lag in level.lag.items() if lag)
    yield from (f"halted: {one}" for one in level.halted)
    yield from (f"dead letter: {one}" for one in level.dead_letters)


@rule
def read_models_equal_the_fold(known: Known) -> Iterator[str]:
    expected = fold.expected_tables(known.posts)
    for table in vars(expected):
        wanted, found = getattr(expected, table), getattr(known.facts.tables, table)
        for key, row in wanted.items():
            if found.get(key) != row:
                yield f"{table} {key}: {difference(row, found.get(key))}"
        for key in found.keys() - wanted.keys():
            yield f"{table} {key}: a row that should not be there, {found[key]}"


def difference(wanted: facts.Row, found: facts.Row | None) -> str:
    if found is None:
        return f"missing, should be {wanted}"
    names = [name for name in wanted if found.get(name) != wanted[name]]
    return ", ".join(f"{n} is {short(found.get(n))}, not {short(wanted[n])}" for n in names)


def short(value: object) -> str:
    text = str(value)
    return repr(f"{text[:40]}...") if len(text) > 60 else repr(value)


@rule
def no_read_is_older_than_its_token(known: Known) -> Iterator[str]:
    for read in known.facts.reads:
        if not read.token or read.version >= read.token:
            continue
        if read.version or not may_be_gone(known, read):
            yield f"{asked(read)}: with a token for version {read.token}"


@rule
def no_client_sees_a_post_go_back(known: Known) -> Iterator[str]:
    """In the same projection, by the order in which the client asked."""
    last: dict[tuple[str, str, UUID], facts.Read] = {}
    for read in sorted(known.facts.reads, key=lambda read: read.sent_at):
        place = (read.client, projection_of(read.query), read.post)
        before = last.get(place)
        if read.version == 0 and may_be_gone(known, read):
            read_version = known.posts[read.post].version
        else:
            read_version = read.version
        if before is not None and read_version < before.version:
            yield f"{asked(read)}, after {asked(before)}"
        if read.version:
            last[place] = read


@rule
def a_read_shows_one_version_whole(known: Known) -> Iterator[str]:
    """What it shows is what the events up to its version add up to."""
    for read in known.facts.reads:
        if not read.seen:
            continue
        wanted = known.shown.get((read.post, read.version))
        if wanted is None:
            yield f"{asked(read)}: the store has no such version"
        elif any(wanted[name] != value for name, value in read.seen.items()):
            yield f"{asked(read)}: {difference({n: wanted[n] for n in read.seen}, read.seen)}"


@rule
def no_read_shows_what_was_sent_later(known: Known) -> Iterator[str]:
    for read in known.facts.reads:
        events = known.streams.get(read.post, [])
        if not read.version or read.version > len(events):
            continue
        command = known.sent.get(events[read.version - 1].command_id)
        if command is not None and command.sent_at > read.answered_at:
            yield f"{asked(read)}: before {told(command)} was sent"


def projection_of(query: str) -> str:
    return "history" if query == "find-post-history" else "posts"


def may_be_gone(known: Known, read: facts.Read) -> bool:
    """Whether somebody had asked for the post's removal when the read was answered."""
    event_of = known.removed_by.get(read.post)
    command = known.sent.get(event_of) if event_of is not None else None
    return command is not None and command.sent_at <= read.answered_at


@rule
def pages_show_what_their_session_wrote(known: Known) -> Iterator[str]:
    """Or say that they do not show it yet."""
    for page in known.facts.pages:
        if not (page.shown or page.said):
            at = f"{page.client} at {page.asked_at:.3f}"
            yield f"{at}: status {page.status}, post {page.post} is not shown, and nothing says so"


# --- processes ---------------------------------------------------------------------------------


@rule
def no_process_ends_by_itself(known: Known) -> Iterator[str]:
    for ended in known.facts.ended:
        yield f"{ended.role} with code {ended.code}: {ended.output[-600:]}"


@rule
def the_healthy_are_not_held_up(known: Known) -> Iterator[str]:
    for probe in known.facts.probes:
        if probe.took_s > probe.most_s:
            yield f"{probe.what} took {probe.took_s:.1f} s, at most {probe.most_s:.0f} s are fine"


def told(command: Command) -> str:
    """A command and its answer, in a line."""
    answer = f"{command.status} v{command.version}" if command.version else f"{command.status}"
    return (
        f"{command.name} {command.post} by {command.actor} ({command.command_id}) "
        f"answered {answer} {command.code}".rstrip()
    )


def named(event: Event) -> str:
    return f"{event.type} {event.stream} v{event.version} at {event.position}"


def asked(read: facts.Read) -> str:
    seen = f"version {read.version}" if read.version else f"status {read.status}"
    return f"{read.client} asked {read.query} {read.post} at {read.sent_at:.3f} and saw {seen}"
