"""A person with several tabs of one session: each writes posts by form and looks at them."""

import re
import time
from threading import Barrier, BrokenBarrierError
from threading import Event as Flag
from urllib.parse import urlencode
from uuid import uuid4

from tests.faults.history.client import Away, Client, Response
from tests.faults.history.facts import Answer, Page
from tests.faults.history.recorder import Recorder

PERSON = "page-person"
TABS = 2
SAYS_SO = "not shown here yet"  # the page admits that it is behind
POST = re.compile(r"/posts/([0-9a-f-]{36})/")
FORM = {"Content_Type": "application/x-www-form-urlencoded", "Accept": "text/html"}


class Tab:
    """Sends at the same moment as the other tabs, as far as they come along."""

    def __init__(self, client: Client, session: str, together: Barrier, recorder: Recorder) -> None:
        self._together = together
        self._client = client
        self._recorder = recorder
        csrf = uuid4().hex
        self._form = {**FORM, "X_CSRFToken": csrf}
        self._cookie = {"Cookie": f"sessionid={session}; csrftoken={csrf}"}

    def run(self, stop: Flag, paused: Flag) -> None:
        number = 0
        while not stop.is_set():
            if not paused.is_set():
                number += 1
                self._write_and_look(f"{self._client.name} writes {number} {uuid4().hex}")
            stop.wait(0.1)
        self._client.close()

    def _write_and_look(self, text: str) -> None:
        try:
            self._together.wait(1)
        except BrokenBarrierError:  # another one still waits for its answer
            self._together.reset()
        body = urlencode({"text": text, "form": uuid4().hex})
        answer = self._get("POST", "/write/", body)
        found = POST.search(answer.headers.get("location", "")) if answer else None
        if found is None:
            return  # its outcome is unknown: a form has no key
        looked_at = time.monotonic()
        page = self._get("GET", found.group(), None)
        if page is None:
            return
        shown, said = text in page.text, SAYS_SO in page.text
        self._recorder.write(
            Page(self._client.name, found.group(1), looked_at, page.status, shown, said)
        )

    def _get(self, method: str, path: str, body: str | None) -> Response | None:
        try:
            answer = self._client.request(method, path, body, {**self._cookie, **self._form})
        except Away:
            time.sleep(0.1)
            return None
        if answer.status < 500:
            return answer
        retry_after = answer.headers.get("retry-after", "")
        self._recorder.write(
            Answer(self._client.name, path, answer.status, retry_after, answer.text[:300])
        )
        return None
