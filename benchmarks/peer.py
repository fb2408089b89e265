"""The same work with eventsourcing 9.5.6: load an aggregate, append one event.

Prints commands a second. Run by write.py in an environment of its own.
"""

import os
import sys
import time
from urllib.parse import urlparse

url = urlparse(os.environ["PEER_DATABASE_URL"])
os.environ |= {
    "PERSISTENCE_MODULE": "eventsourcing.postgres",
    "POSTGRES_DBNAME": url.path[1:],
    "POSTGRES_HOST": url.hostname or "",
    "POSTGRES_PORT": str(url.port),
    "POSTGRES_USER": url.username or "",
    "POSTGRES_PASSWORD": "",
}

from eventsourcing.application import Application  # noqa: E402
from eventsourcing.domain import Aggregate, event  # noqa: E402


class Post(Aggregate):
    @event("Created")
    def __init__(self, author: str, message: str) -> None:
        self.author = author
        self.message = message
        self.likers: list[str] = []

    @event("Liked")
    def like(self, username: str) -> None:
        self.likers.append(username)


def main(count: int) -> None:
    app: Application = Application()
    ids = []
    for _ in range(count):
        post = Post(author="author", message="Hi " * 20)
        app.save(post)
        ids.append(post.id)
    begun = time.perf_counter()
    for post_id in ids:
        post = app.repository.get(post_id)
        post.like("somebody")
        app.save(post)
    print(count / (time.perf_counter() - begun))  # noqa: T201


main(int(sys.argv[1]))
