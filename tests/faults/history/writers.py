"""Writers: each sends one command after the other, and every command until its outcome is known."""

import random
import time
from collections import deque
from contextlib import suppress
from threading import Event as Flag
from threading import Lock
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from tests.faults.history.client import Away, Client, Response
from tests.faults.history.facts import (
    ACKNOWLEDGED,
    REFUSED,
    UNKNOWN,
    Answer,
    Command,
    Repeat,
)
from tests.faults.history.recorder import Recorder

KEYS = UUID("6f3f0c1e-5d0b-5e8e-9a3f-2c1d7b0a4e11")  # the store's ids of Idempotency-Keys
NOT_SETTLED = {"concurrent_change"}  # a refusal that says: try again
RETRY_S = 0.1


class Seen(NamedTuple):
    """What a writer got for a command: a reader with the token has to see the version."""

    post: UUID
    version: int
    token: str


class Board:
    """What the clients know of each other's posts."""

    HOT = 3

    def __init__(self, seed: int) -> None:
        self._lock = Lock()
        self.space = uuid5(KEYS, f"run {seed}")
        self.posts: list[UUID] = []  # the first ones are hot
        self.authors: dict[UUID, str] = {}
        self.comments: dict[UUID, list[tuple[UUID, str]]] = {}
        self.tokens: deque[Seen] = deque(maxlen=200)
        self.last: dict[UUID, Seen] = {}

    def note(self, command: Command, token: str) -> None:
        """An acknowledged command."""
        with self._lock:
            seen = Seen(command.post, command.version, token)
            self.tokens.append(seen)
            if command.version >= self.last.get(command.post, seen).version:
                self.last[command.post] = seen
            if command.name == "new-post":
                self.authors[command.post] = command.actor
                self.posts.append(command.post)
            elif command.name == "add-comment":
                comment = (UUID(command.body["comment_id"]), command.actor)
                self.comments.setdefault(command.post, []).append(comment)
            elif command.name == "delete-post" and command.post in self.posts:
                self.posts.remove(command.post)

    def offer(self, stream: UUID) -> None:
        """Something that is no post, as one of the newest."""
        with self._lock:
            self.posts.append(stream)

    def withdraw(self, stream: UUID) -> None:
        with self._lock, suppress(ValueError):
            self.posts.remove(stream)

    def some_post(self, chance: random.Random) -> UUID | None:
        """Every second time a hot one."""
        with self._lock:
            if not self.posts:
                return None
            few = self.posts[: self.HOT] if chance.random() < 0.5 else self.posts[-40:]
            return chance.choice(few)

    def some_comment(self, post: UUID, chance: random.Random) -> tuple[UUID, str] | None:
        with self._lock:
            found = self.comments.get(post)
            return chance.choice(found[-20:]) if found else None

    def some_token(self, chance: random.Random) -> Seen | None:
        """Mostly a fresh one."""
        with self._lock:
            few = list(self.tokens)[-10:] if chance.random() < 0.7 else list(self.tokens)
            return chance.choice(few) if few else None

    def hot(self, post: UUID) -> bool:
        return post in self.posts[: self.HOT]


WEIGHTS = {
    "new-post": 8, "edit-message": 18, "like-post": 18, "unlike-post": 14, "add-comment": 18,
    "edit-comment": 12, "remove-comment": 8, "delete-post": 2,
}  # fmt: skip
UNKNOWN_POSTS = 0.01  # of the commands name a post that nobody made
REPEATED = 0.1  # of the commands are sent again when their outcome is known


class Writer:
    """One person at one client. `run` returns when `stop` is set and its last command's outcome
    is known, or when `give_up` is set."""

    def __init__(self, actor: str, client: Client, board: Board, recorder: Recorder, seed: str):
        self._actor = actor
        self._client = client
        self._board = board
        self._recorder = recorder
        self._chance = random.Random(seed)
        self._number = 0
        self.paused = Flag()
        self.at_rest = Flag()

    def run(self, stop: Flag, give_up: Flag) -> None:
        while not stop.is_set():
            if self.paused.is_set():
                self.at_rest.set()
                stop.wait(0.05)
                continue
            self.at_rest.clear()
            self._one(give_up)
            stop.wait(self._chance.random() * 0.04)
        self.at_rest.set()
        self._client.close()

    def _one(self, give_up: Flag) -> None:
        chosen = self._choose()
        if chosen is None:
            return
        name, post, body = chosen
        self._number += 1
        key = str(uuid5(self._board.space, f"{self._actor} {self._number}"))
        sent_at, attempts = time.monotonic(), 0
        response: Response | None = None
        while response is None and not give_up.is_set():
            attempts += 1
            response = self._try(name, body, key)
        command = self._outcome(name, post, body, key, response, sent_at, attempts)
        self._recorder.write(command)
        if command.outcome == ACKNOWLEDGED and response is not None:
            self._board.note(command, response.json["consistency_token"])
        if command.outcome != UNKNOWN and self._chance.random() < REPEATED:
            self._repeat(name, body, key, command.command_id)

    def _try(self, name: str, body: dict[str, Any], key: str) -> Response | None:
        """The response if it is an outcome."""
        try:
            response = self._client.send(name, body, Idempotency_Key=key)
        except Away:
            time.sleep(RETRY_S)
            return None
        settled = response.status < 500 and response.status not in (401, 429)
        if settled and response.code not in NOT_SETTLED:
            return response
        if response.code not in NOT_SETTLED:
            answer = (response.status, response.headers.get("retry-after", ""), response.text[:500])
            self._recorder.write(Answer(self._client.name, name, *answer))
            self._client.move()
        time.sleep(RETRY_S)
        return None

    def _outcome(
        self,
        name: str,
        post: UUID,
        body: dict[str, Any],
        key: str,
        response: Response | None,
        sent_at: float,
        attempts: int,
    ) -> Command:
        what: dict[str, Any] = {"outcome": UNKNOWN}
        if response is not None and response.status < 300:
            version = response.json["version"]
            what = {"outcome": ACKNOWLEDGED, "status": response.status, "version": version}
        elif response is not None:
            what = {"outcome": REFUSED, "status": response.status, "code": response.code}
        return Command(
            client=self._client.name,
            actor=self._actor,
            name=name,
            post=post,
            body=body,
            command_id=uuid5(KEYS, key),
            sent_at=sent_at,
            answered_at=time.monotonic(),
            attempts=attempts,
            **what,
        )

    def _repeat(self, name: str, body: dict[str, Any], key: str, command_id: UUID) -> None:
        """Send it again: once, and what is no outcome says nothing."""
        again = self._try(name, body, key)
        if again is not None:
            version = again.json.get("version", 0)
            self._recorder.write(Repeat(command_id, again.status, version, again.code))

    def _choose(self) -> tuple[str, UUID, dict[str, Any]] | None:
        chance, board = self._chance, self._board
        name = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        post = board.some_post(chance)
        if post is None or len(board.posts) < board.HOT:
            name = "new-post"
        new_id = uuid5(board.space, f"{self._actor} makes {self._number}")
        if name == "new-post":
            body = {"post_id": str(new_id), "message": self._text()}
            return name, new_id, body
        assert post is not None
        if chance.random() < UNKNOWN_POSTS:
            post = new_id
        if name == "delete-post" and board.hot(post):
            return None
        body = {"post_id": str(post)}
        if name == "edit-message":
            body["message"] = self._text()
        elif name == "add-comment":
            body |= {"comment_id": str(new_id), "text": self._text()}
        elif name in ("edit-comment", "remove-comment"):
            comment = board.some_comment(post, chance)
            if comment is None:
                return None
            body["comment_id"] = str(comment[0])
            if name == "edit-comment":
                body["text"] = self._text()
        return name, post, body

    def _text(self) -> str:
        """Sometimes one of a few, so that some edits change nothing."""
        if self._chance.random() < 0.2:
            return self._chance.choice(["the same", "tab\tand \\N and ü"])
        return f"{self._actor} {self._number} " + "x" * self._chance.choice([1, 40, 900])
