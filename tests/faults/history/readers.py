"""Readers: each asks one query after the other, with the tokens that writers got and without."""

import random
import time
from threading import Event as Flag
from typing import Any
from uuid import UUID

from tests.faults.history.client import Away, Client, Response
from tests.faults.history.facts import Answer, Read
from tests.faults.history.recorder import Recorder
from tests.faults.history.writers import Board, Seen

SHOWN = ("author", "message", "likes", "comments_count")
LAST_READS_S = 20


class Reader:
    def __init__(self, client: Client, board: Board, recorder: Recorder, seed: str) -> None:
        self._client = client
        self._board = board
        self._recorder = recorder
        self._chance = random.Random(seed)

    def run(self, stop: Flag) -> None:
        while not stop.is_set():
            self._one()
            stop.wait(self._chance.random() * 0.04)
        self._client.close()

    def _one(self) -> None:
        chance = self._chance.random()
        if chance < 0.15:
            self._feed()
        elif chance < 0.55:
            seen = self._board.some_token(self._chance)
            if seen is not None:
                self.post(seen.post, seen)
        elif chance < 0.7:
            seen = self._board.some_token(self._chance)
            if seen is not None and not self._board.hot(seen.post):
                self._history(seen if self._chance.random() < 0.7 else seen._replace(token=""))
        else:
            post = self._board.some_post(self._chance)
            if post is not None:
                self.post(post)

    def post(self, post: UUID, seen: Seen | None = None) -> bool:
        """Ask for a post; whether there was an answer that says something of it."""
        sent_at = time.monotonic()
        response = self._ask("find-post-by-id", {"post_id": str(post)}, seen.token if seen else "")
        if response is None:
            return False
        found = response.json
        shown = {name: found[name] for name in SHOWN} if response.status == 200 else {}
        self._record(
            "find-post-by-id", post, sent_at, response, found.get("version", 0), seen, shown
        )
        return True

    def last_reads(self) -> None:
        """Every post by its last token, once all is healed: it has to be answered."""
        for post, seen in list(self._board.last.items()):
            deadline = time.monotonic() + LAST_READS_S
            while not self.post(post, seen):
                if time.monotonic() > deadline:
                    self._recorder.write(
                        Answer(
                            self._client.name, "find-post-by-id", 0, "", f"{post}: never answered"
                        )
                    )
                    return
                time.sleep(0.1)

    def _history(self, seen: Seen) -> None:
        """Short ones alone: on the first page the last entry has the post's version."""
        sent_at, params = time.monotonic(), {"post_id": str(seen.post), "page_size": 100}
        response = self._ask("find-post-history", params, seen.token)
        if response is None:
            return
        found = response.json
        if response.status == 200 and (found["next"] or not found["results"]):
            return
        version = found["results"][-1]["version"] if response.status == 200 else 0
        told = seen if seen.token else None
        self._record("find-post-history", seen.post, sent_at, response, version, told, {})

    def _feed(self) -> None:
        sent_at = time.monotonic()
        response = self._ask("find-all-posts", {"page_size": 20})
        if response is None or response.status != 200:
            return
        for one in response.json["results"]:
            shown = {name: one[name] for name in SHOWN}
            post, version = UUID(one["post_id"]), one["version"]
            self._record("find-all-posts", post, sent_at, response, version, None, shown)

    def _ask(self, query: str, params: dict[str, Any], token: str = "") -> Response | None:
        """The response, if it says something: 200 or 404."""
        headers = {"Consistency_Token": token} if token else {}
        try:
            response = self._client.ask(query, params, **headers)
        except Away:
            time.sleep(0.05)
            return None
        if response.status == 200 or response.code == "post_not_found":
            return response
        retry_after = response.headers.get("retry-after", "")
        answer = (response.status, retry_after, response.text[:500])
        self._recorder.write(Answer(self._client.name, query, *answer))
        if response.code != "read_side_behind":
            self._client.move()
        return None

    def _record(
        self,
        query: str,
        post: UUID,
        sent_at: float,
        response: Response,
        version: int,
        seen: Seen | None,
        shown: dict[str, Any],
    ) -> None:
        self._recorder.write(
            Read(
                client=self._client.name,
                query=query,
                post=post,
                sent_at=sent_at,
                answered_at=time.monotonic(),
                status=response.status,
                version=version,
                token=seen.version if seen else 0,
                seen=shown,
            )
        )
