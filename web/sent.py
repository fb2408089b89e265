"""The text that somebody has just sent, for the page of the post, until that shows it.

It travels in a cookie of that page and its parts alone: the read side does not have it yet, no page
asks the event store, and a session that two tabs save at once forgets what one of them wrote.
"""

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from web.links import CUT

COOKIE = "sent"
SALT = "postlog.sent"
MAX_BYTES = 3_500  # browsers keep cookies of 4,096, with name and attributes
MAX_AGE_S = 3_600


def keep_sent(
    request: HttpRequest, answer: HttpResponse, page: str, text: str, version: int
) -> HttpResponse:
    """Let the page at this address know the text, or its beginning, where it is long, and the
    version of the post that has it."""
    value = signing.dumps([version, text], salt=_salt(request), compress=True)
    while len(value) > MAX_BYTES:
        text = text[: len(text) * MAX_BYTES // len(value) - 10].rstrip() + CUT
        value = signing.dumps([version, text], salt=_salt(request), compress=True)
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


def sent_text(request: HttpRequest, shown: int) -> str:
    """What this person sent to the page, which shows this version of the post; "" if that has it,
    or if it is not known."""
    value = request.COOKIES.get(COOKIE, "")
    try:
        version, text = signing.loads(value, salt=_salt(request), max_age=MAX_AGE_S)
    except signing.BadSignature:
        return ""
    return text if version > shown else ""


def forget_sent(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """The page shows it now."""
    if COOKIE in request.COOKIES:
        answer.delete_cookie(COOKIE, path=request.path, samesite="Lax")
    return answer


def _salt(request: HttpRequest) -> str:
    """Who signs in next in the same browser is shown no text of another."""
    return f"{SALT} {request.user.get_username()}"
