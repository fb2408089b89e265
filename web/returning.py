"""Signing in in the middle of something: what was sent is there again afterwards.

A session that has expired must not cost anybody a text. It travels in hidden fields of the
sign-in form, never in an address, and waits in the new session for the form it belongs to.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from web.pages import lead_to
from web.request import is_fragment
from web.textform import FORM, ORIGINAL, TEXT

KEPT = "kept"  # in the session: [the path of the form, {field: value}]
FIELDS = (TEXT, FORM, ORIGINAL)
PREFIX = "kept-"  # of the hidden fields
MOST = 40_000  # characters: whatever is longer would be refused anyway

View = Callable[..., HttpResponse]


def signed_in(view: View) -> View:
    """A view for people who are signed in. Who is not is asked to, and led back."""
    return _signed_in(view, None)


def signed_in_at_post(view: View) -> View:
    """The same for what has no page of its own: it leads back to the post."""
    return _signed_in(view, "post")


def _signed_in(view: View, page: str | None) -> View:
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        back = reverse(page, args=[kwargs["post_id"]]) if page else request.path
        kept = sent(request)
        if kept:
            form = AuthenticationForm(request)
            return _form(request, "accounts/sign_in.html", {"form": form, "next": back}, kept)
        return lead_to(request, redirect_to_login(back)["Location"])

    return wrapped


def expired_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW: the token is of an earlier session. The text is shown in a new
    form, and sent only when a person sends it: another site could have made them come here."""
    kept = sent(request)
    if not kept:
        return render(request, "403_csrf.html", status=403)
    return _form(request, "expired_form.html", {"action": request.path}, kept)


def sent(request: HttpRequest) -> dict[str, str]:
    """What is worth keeping of what was sent; nothing without a text."""
    fields = {name: request.POST[name] for name in FIELDS if name in request.POST}
    size = sum(len(value) for value in fields.values())
    return fields if fields.get(TEXT, "").strip() and size <= MOST else {}


def carried(request: HttpRequest) -> dict[str, str]:
    """What the hidden fields of the sign-in form carry."""
    names = [name for name in FIELDS if PREFIX + name in request.POST]
    fields = {name: request.POST[PREFIX + name] for name in names}
    return fields if sum(len(value) for value in fields.values()) <= MOST else {}


def keep(request: HttpRequest, path: str) -> None:
    """Let the form at this path find what the sign-in form carried."""
    if fields := carried(request):
        request.session[KEPT] = [path, fields]


def kept(request: HttpRequest) -> dict[str, str]:
    """What was sent here before signing in, once."""
    path, fields = request.session.get(KEPT, (None, {}))
    if path != request.path:
        return {}
    del request.session[KEPT]
    return dict(fields)


def _form(
    request: HttpRequest, template: str, context: dict[str, Any], fields: dict[str, str]
) -> HttpResponse:
    """403 with a form. For htmx it takes the place of the page's content: the rest of the page is
    of a session that has ended."""
    layout = "fragment.html" if is_fragment(request) else "base.html"
    answer = render(request, template, {"layout": layout, "kept": fields, **context}, status=403)
    if is_fragment(request):
        answer["HX-Retarget"], answer["HX-Reswap"] = "#content", "innerHTML"
    return answer
