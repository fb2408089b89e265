"""Posts of a test's own for tests in a browser, by the API: forms are what such a test is about."""

from typing import Any
from uuid import uuid4

from playwright.sync_api import APIRequestContext, BrowserContext

from messaging.testing.waiting import wait_until


def a_post(context: BrowserContext, url: str, comments: int = 0) -> str:
    """The address of a new post with comments, by who is signed in there; pages show all of it."""
    ask: APIRequestContext = context.request
    ask.get(url)  # for the cookie of the CSRF token
    token = next(str(c["value"]) for c in context.cookies() if c["name"] == "csrftoken")

    def send(command: str, **body: str) -> dict[str, Any]:
        headers = {"X-CSRFToken": token}
        answer = ask.post(f"{url}/api/v1/commands/{command}/", data=body, headers=headers)
        return dict(answer.json())

    done = send("new-post", message=f"Post {uuid4()}")
    post_id = str(done["post_id"])
    for number in range(comments):
        done = send("add-comment", post_id=post_id, text=f"Comment {number}")
    seen = {"Consistency-Token": str(done["consistency_token"])}
    query = f"{url}/api/v1/queries/find-post-by-id/?post_id={post_id}"
    wait_until(lambda: ask.get(query, headers=seen).ok, "pages show it")
    return f"/posts/{post_id}/"
