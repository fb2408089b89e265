"""The form in which a text is written or changed: a page of its own, or, when htmx asks, in the
place of the post or comment that it changes."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from messaging import Behind, Invalid
from web.request import is_fragment

TEXT = "text"  # the field
FORM = "form"  # the hidden field that tells one form from the same one opened again
ORIGINAL = "original"  # the hidden field with the fingerprint of the text that the form changes
FINGERPRINT = re.compile("[0-9]{1,20}", re.ASCII)


class Part(NamedTuple):
    """The element of a page that the form replaces, and that replaces the form again."""

    tag: str
    id: str
    address: str  # of what it was, for who cancels


@dataclass(frozen=True, slots=True, kw_only=True)
class TextForm:
    heading: str
    button: str
    action: str
    back: str  # where Cancel leads
    part: Part | None = None  # None: it is never shown within a page
    history: str = ""  # where the text as it was stays readable


def edit_post(post_id: UUID) -> TextForm:
    return TextForm(
        heading="Edit the post",
        button="Save",
        action=reverse("edit", args=[post_id]),
        back=reverse("post", args=[post_id]),
        part=Part("article", f"post-{post_id}", reverse("card", args=[post_id])),
        history=reverse("history", args=[post_id]),
    )


def edit_comment(post_id: UUID, comment_id: UUID) -> TextForm:
    address = reverse("comment", args=[post_id, comment_id])
    return TextForm(
        heading="Edit the comment",
        button="Save",
        action=reverse("edit-comment", args=[post_id, comment_id]),
        back=address,
        part=Part("li", f"comment-{comment_id}", address),
        history=reverse("history", args=[post_id]),
    )


def show(
    request: HttpRequest,
    form: TextForm,
    text: str,
    *,
    original: int | str | None = None,
    theirs: str | None = None,
    refused: Invalid | None = None,
    behind: Behind | None = None,
    form_id: str | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render the form around `text`. `refused` says why it was not taken; `theirs` is what
    somebody else, or another tab, has saved since the form was opened."""
    within = is_fragment(request)
    context: dict[str, Any] = {
        "layout": "fragment.html" if within else "base.html",
        "form": form,
        "part": form.part if within else None,
        "text": text,
        "original": original,
        "theirs": theirs,
        "error": refused and refused.detail,
        "behind": behind,
        "form_id": form_id or uuid4().hex,
    }
    return render(request, "text_form.html", context, status=status)


def refused_form(request: HttpRequest, form: TextForm, refused: Invalid) -> HttpResponse:
    """The form with the text as it was sent, and why it was not taken."""
    return show(
        request, form, text_of(request), original=original_of(request), refused=refused, status=422
    )


def original_of(request: HttpRequest) -> int | None:
    """Which text the form changes, by its fingerprint; None: the form does not say."""
    sent = request.POST.get(ORIGINAL, "")
    return int(sent) if FINGERPRINT.fullmatch(sent) else None


def text_of(request: HttpRequest) -> str:
    return request.POST.get(TEXT, "")
