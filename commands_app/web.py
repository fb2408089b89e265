"""The forms of the browser: each sends a command, and shows a refusal beside its field."""

from dataclasses import replace
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

import messaging
from commands_app.commands import (
    AddComment,
    DeletePost,
    EditComment,
    EditMessage,
    LikePost,
    NewPost,
    RemoveComment,
    UnlikePost,
)
from commands_app.handlers import posts
from contracts.posts import STREAM_TYPE
from messaging import (
    Invalid,
    Position,
    PreconditionFailed,
    Result,
    answer_headers,
    context_of,
    idempotency_window,
    remember,
)
from web import textform
from web.pages import lead_to, page, tell
from web.request import is_fragment
from web.returning import kept, signed_in, signed_in_at_post
from web.sent import keep_sent
from web.textform import FORM, TEXT, TextForm, original_of, refused_form, text_of
from web.toasts import done


@require_GET
@page
@signed_in
def write_form(request: HttpRequest) -> HttpResponse:
    before = kept(request)
    return textform.show(request, write_post(), before.get(TEXT, ""), form_id=before.get(FORM))


@require_POST
@page
@signed_in
def write(request: HttpRequest) -> HttpResponse:
    try:
        result = send(request, NewPost(message=text_of(request)), once=True)
    except Invalid as refused:
        return refused_form(request, write_post(), refused)
    done(request, "Posted.")
    post_id = result.ids["post_id"]
    return shown_later(request, lead_to(request, post_url(post_id)), post_id, result)


@require_POST
@page
@signed_in
def edit(request: HttpRequest, post_id: UUID) -> HttpResponse:
    try:
        result = send(request, EditMessage(post_id=post_id, message=text_of(request)))
    except Invalid as refused:
        return refused_form(request, textform.edit_post(post_id), refused)
    except PreconditionFailed:
        return conflict(request, post_id)
    done(request, "Saved.")
    shown = reverse("card", args=[post_id]) if is_fragment(request) else post_url(post_id)
    return shown_later(request, redirect(shown), post_id, result)


@require_POST
@page
@signed_in
def delete(request: HttpRequest, post_id: UUID) -> HttpResponse:
    send(request, DeletePost(post_id=post_id))
    done(request, "Post deleted.")
    return redirect("feed")


@require_POST
@page
@signed_in_at_post
def like(request: HttpRequest, post_id: UUID) -> HttpResponse:
    send(request, LikePost(post_id=post_id))
    return after_like(request, post_id)


@require_POST
@page
@signed_in_at_post
def unlike(request: HttpRequest, post_id: UUID) -> HttpResponse:
    send(request, UnlikePost(post_id=post_id))
    return after_like(request, post_id)


@require_POST
@page
@signed_in_at_post
def comment(request: HttpRequest, post_id: UUID) -> HttpResponse:
    try:
        result = send(request, AddComment(post_id=post_id, text=text_of(request)), once=True)
    except Invalid as refused:
        return refused_form(request, write_comment(post_id), refused)
    done(request, "Comment added.")
    comment_id = result.ids["comment_id"]
    if is_fragment(request):  # where only the fragment differs, the browser would not load it
        answer = lead_to(request, reverse("comment", args=[post_id, comment_id]))
    else:
        answer = redirect(f"{post_url(post_id)}?at=end#comment-{comment_id}")
    return shown_later(request, answer, post_id, result)


@require_POST
@page
@signed_in
def edit_comment(request: HttpRequest, post_id: UUID, comment_id: UUID) -> HttpResponse:
    command = EditComment(post_id=post_id, comment_id=comment_id, text=text_of(request))
    try:
        result = send(request, command)
    except Invalid as refused:
        return refused_form(request, textform.edit_comment(post_id, comment_id), refused)
    except PreconditionFailed:
        return conflict(request, post_id)
    done(request, "Saved.")
    answer = redirect("comment", post_id, comment_id)
    return shown_later(request, answer, post_id, result)


@require_POST
@page
@signed_in
def remove_comment(request: HttpRequest, post_id: UUID, comment_id: UUID) -> HttpResponse:
    send(request, RemoveComment(post_id=post_id, comment_id=comment_id))
    done(request, "Comment deleted.")
    return redirect(post_url(post_id))


def send(request: HttpRequest, command: object, *, once: bool = False) -> Result:
    """Send a command as the user who is signed in.

    With `once`, the same form with the same text counts once, after a double click or a reload,
    for as long as an Idempotency-Key is remembered.
    """
    command_id = None
    if once:
        command_id = uuid5(NAMESPACE_URL, f"{request.POST.get(FORM) or uuid4()} {command!a}")
    context = replace(
        context_of(request.headers, request.user),
        command_id=command_id,
        remember_for=idempotency_window(),
        if_text=original_of(request),
    )
    tell(request, answer_headers(context))
    result = messaging.send(command, context)
    tell(request, answer_headers(context, result))
    remember(request, *result.positions)
    return result


def shown_later(
    request: HttpRequest, answer: HttpResponse, post_id: UUID, result: Result
) -> HttpResponse:
    """Let the page of the post show the text that was sent until the read side has it."""
    return keep_sent(request, answer, post_url(post_id), text_of(request), result.version)


def conflict(request: HttpRequest, post_id: UUID) -> HttpResponse:
    """Answer 412 without a page.

    The read side shows the form again, beside the text that was saved meanwhile, for which it
    waits (config/pages.py).
    """
    remember(request, Position(STREAM_TYPE, post_id, posts.version_of(post_id)))
    return HttpResponse(status=PreconditionFailed.status)


def write_post() -> TextForm:
    action, back = reverse("write"), reverse("feed")
    return TextForm(heading="Write a post", button="Post", action=action, back=back)


def write_comment(post_id: UUID) -> TextForm:
    action, back = reverse("comment-on", args=[post_id]), post_url(post_id)
    return TextForm(heading="Comment", button="Comment", action=action, back=back)


def after_like(request: HttpRequest, post_id: UUID) -> HttpResponse:
    """Redirect to where the button was, or for htmx to the post alone."""
    if is_fragment(request):
        return redirect("card", post_id)
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts=None) or not back.startswith("/"):
        back = post_url(post_id)
    return redirect(f"{back}#post-{post_id}")


def post_url(post_id: UUID) -> str:
    return reverse("post", args=[post_id])
