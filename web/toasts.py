"""What is said after something was done: by the next page, or by the part that htmx asks for.

A message travels in Django's cookie of messages. It also names the draft that the browser may
forget: static/writing.js keeps one for each form and person.
"""

import json

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_cache_control

from web.request import is_fragment


def done(request: HttpRequest, text: str) -> None:
    """Say that the form at this address was carried out, for who is signed in. Its draft goes."""
    whose = json.dumps([request.user.get_username(), request.path])
    messages.success(request, text, extra_tags=whose)


def gone(request: HttpRequest, username: str, text: str) -> None:
    """Say that the person has left this browser. All their drafts go."""
    messages.success(request, text, extra_tags=json.dumps([username]))


def with_toasts(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """Add to a part of a page what is to be said: htmx puts it where the page's toasts are.

    An answer that says something is not stored: going back to it would say it once more.
    """
    waiting = messages.get_messages(request)
    if is_fragment(request) and answer.status_code == 200 and len(waiting):
        context = {"messages": waiting, "beside": True}
        answer.content += render_to_string("toasts.html", context).encode()
    if says_something(request):
        patch_cache_control(answer, private=True, no_store=True)
    return answer


def says_something(request: HttpRequest) -> bool:
    """Whether a message of the request was put into its answer."""
    found = messages.get_messages(request)
    return bool(getattr(found, "used", False) and len(found))
