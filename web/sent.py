"""The text that somebody has just sent, for the page that waits until it is shown.

It travels in a cookie of that page alone: the read side does not have it yet, no page asks the
event store, and a session that two tabs save at once forgets what one of them wrote.
"""

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from web.links import CUT

COOKIE = "sent"
SALT = "postlog.sent"
MAX_BYTES = 3_500  # browsers keep cookies of 4,096, with name and attributes
MAX_AGE_S = 3_600


def keep_sent(answer: HttpResponse, page: str, text: str) -> HttpResponse:
    """Let the page at this address know the text, or its beginning, where it is long."""
    value = signing.dumps(text, salt=SALT, compress=True)
    while len(value) > MAX_BYTES:
        text = text[: len(text) * MAX_BYTES // len(value) - 10].rstrip() + CUT
        value = signing.dumps(text, salt=SALT, compress=True)
    answer.set_cookie(
        COOKIE,
        value,
        max_age=MAX_AGE_S,
        path=page,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return answer


def sent_text(request: HttpRequest) -> str:
    """What was sent to this page; "" if that is not known."""
    try:
        text = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=MAX_AGE_S)
    except signing.BadSignature:
        return ""
    return str(text)


def forget_sent(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """The page shows it now."""
    if COOKIE in request.COOKIES:
        answer.delete_cookie(COOKIE, path=request.path, samesite="Lax")
    return answer
