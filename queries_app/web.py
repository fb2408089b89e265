"""The pages that people read. Each is answered by a query, as the API is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_safe
from django.views.decorators.vary import vary_on_cookie

from contracts.posts import fingerprint
from messaging import (
    Behind,
    Invalid,
    NotFound,
    Page,
    PreconditionFailed,
    Projection,
    Query,
    ask,
    behind,
)
from queries_app import previews
from queries_app.cards import cards, html_of, one_card
from queries_app.discussion import address_of, comments_of, new_ones, query_of, quoted
from queries_app.projections import history, likes, people, posts
from queries_app.queries import (
    FindAllPosts,
    FindComment,
    FindLikes,
    FindMostLikedPosts,
    FindPerson,
    FindPostHistory,
    FindPostsByAuthor,
    FindPostsWithComments,
    PersonView,
    PostView,
    one_post,
)
from web import textform
from web.links import people_in
from web.pages import page
from web.people import has_account
from web.request import is_fragment
from web.returning import kept, signed_in
from web.sent import forget_sent, sent_text
from web.textform import FORM, ORIGINAL, TEXT, TextForm, original_of, text_of

LISTS: dict[str, tuple[str, Callable[..., Query[Page[PostView]]]]] = {
    "feed": ("Newest", FindAllPosts),
    "most-liked": ("Most liked", FindMostLikedPosts),
    "with-comments": ("Discussed", FindPostsWithComments),
}


UNSEEN = Invalid(
    "conflict",
    "The text was changed since you opened this form, and yours is not saved. What it is now is "
    "not shown here yet: save again in a moment, to see both.",
)


@dataclass(frozen=True)
class Heading:
    title: str
    empty: str  # what stands where nothing is listed


@require_safe
@page
def feed(request: HttpRequest, name: str = "feed") -> HttpResponse:
    late = behind(request, posts, likes)
    title, query = LISTS[name]
    found = ask(query(cursor=request.GET.get("cursor")))
    newest = found.results[0] if found.results and found.previous is None else None
    context = {
        "heading": Heading(title, "Nobody has written anything yet."),
        "lists": [(reverse(one), text, one == name) for one, (text, _) in LISTS.items()],
        "newest": newest if name == "feed" else None,
        "form_id": uuid4().hex,
        "preview": previews.of_list(request, name, title),
    }
    return listed(request, found, late, context)


@require_safe
@page
def author(request: HttpRequest, username: str) -> HttpResponse:
    late = behind(request, posts, likes, people)
    found = ask(FindPostsByAuthor(author=username, cursor=request.GET.get("cursor")))
    if not found.results and not has_account(username):
        raise NotFound("person_not_found", "Nobody has that name.")
    heading = Heading(f"Posts by {username}", f"There are no posts by {username}.")
    person = person_of(username)
    context = {
        "heading": heading,
        "username": username,
        "person": person,
        "preview": previews.of_person(request, username, person),
    }
    return listed(request, found, late, context)


@require_safe
@page
def post(request: HttpRequest, post_id: UUID) -> HttpResponse:
    late = behind_with(request, post_id, posts, likes)
    try:
        found = one_post(post_id)
    except NotFound:
        if late is None:
            raise
        pending = {"behind": late, "text": unseen(request, late)}
        return render(request, "pending.html", pending, status=202)
    before, comments = kept(request), comments_of(request, post_id)
    sent = unseen(request, late, found.version)
    context = {
        **one_card(request, found),
        "comments": comments,
        "people": people_in(one.text for one in comments.results),
        "new_comments": new_ones(request, post_id, comments),
        "behind": late,
        "sent": sent,
        "here": query_of(request),
        "preview": previews.of_post(request, found),
        "whole": True,
        "form_id": before.get(FORM) or uuid4().hex,
        "text": before.get(TEXT) or quoted(request, found),
    }
    answer = render(request, "post.html", context)
    return answer if sent else forget_sent(request, answer)


@require_safe
@page
def card(request: HttpRequest, post_id: UUID) -> HttpResponse:
    """One post alone, for htmx: on its own page the whole text, and in a list its beginning."""
    late = behind_with(request, post_id, posts, likes)
    found = one_post(post_id)
    shown = one_card(request, found)
    address = shown["card"].address
    whole = urlsplit(request.headers.get("HX-Current-URL", address)).path == address
    sent = unseen(request, late, found.version)
    context = {**shown, "behind": late, "sent": sent, "whole": whole, "single": True}
    return render(request, "card.html", context)


@require_safe
@page
def comment(request: HttpRequest, post_id: UUID, comment_id: UUID) -> HttpResponse:
    """To the page on which the comment stands; for htmx the comment alone."""
    late = behind_with(request, post_id, posts)
    try:
        found = ask(FindComment(post_id=post_id, comment_id=comment_id))
    except NotFound:
        if is_fragment(request) or late is None:
            raise
        return redirect(f"{reverse('post', args=[post_id])}?at=end")  # which says what is missing
    if not is_fragment(request):
        return redirect(address_of(post_id, found))
    sent = unseen(request, late)
    context = {
        "comment": found,
        "post_id": post_id,
        "people": people_in([found.text]),
        "behind": late,
        "sent": sent,
        "single": True,
    }
    return render(request, "comment.html", context)


@require_safe
@page
def post_likes(request: HttpRequest, post_id: UUID) -> HttpResponse:
    late = behind_with(request, post_id, likes)
    found = ask(FindLikes(post_id=post_id, cursor=request.GET.get("cursor")))
    return render(request, "likes.html", {"post_id": post_id, "page": found, "behind": late})


@require_safe
@cache_control(private=True)  # what was removed is for few
@vary_on_cookie
@page
def post_history(request: HttpRequest, post_id: UUID) -> HttpResponse:
    late = behind_with(request, post_id, history)
    query = FindPostHistory(post_id=post_id, cursor=request.GET.get("cursor"))
    found = ask(query, asker=request.user)
    named = people_in(f"{one.old_text} {one.new_text}" for one in found.results)
    context = {"post_id": post_id, "page": found, "people": named, "behind": late}
    return render(request, "history.html", context)


@page
@signed_in
def edit_form(request: HttpRequest, post_id: UUID) -> HttpResponse:
    late = behind_with(request, post_id, posts)
    found = one_post(post_id)
    return editing(request, textform.edit_post(post_id), post_id, found.message, late)


@page
@signed_in
def edit_comment_form(request: HttpRequest, post_id: UUID, comment_id: UUID) -> HttpResponse:
    late = behind_with(request, post_id, posts)
    found = ask(FindComment(post_id=post_id, comment_id=comment_id))
    return editing(request, textform.edit_comment(post_id, comment_id), post_id, found.text, late)


@require_GET
@page
@signed_in
def delete_form(request: HttpRequest, post_id: UUID) -> HttpResponse:
    behind(request, posts)
    found = one_post(post_id)
    what = "Delete this post, with its comments and likes?"
    back = reverse("post", args=[post_id])
    return confirmation(request, what, "Delete post", found.message, back)


@require_GET
@page
@signed_in
def remove_comment_form(request: HttpRequest, post_id: UUID, comment_id: UUID) -> HttpResponse:
    behind(request, posts)
    found = ask(FindComment(post_id=post_id, comment_id=comment_id))
    back = reverse("comment", args=[post_id, comment_id])
    return confirmation(request, "Delete this comment?", "Delete comment", found.text, back)


def behind_with(request: HttpRequest, post_id: UUID, *projections: Projection) -> Behind | None:
    """As `behind`, for a page that shows this post alone."""
    late = behind(request, *projections)
    return late.of(post_id) if late else None


def unseen(request: HttpRequest, late: Behind | None, version: int = 0) -> str:
    """What its reader has just sent to the post, or to a comment, if this version of the post is
    without it."""
    return sent_text(request, version) if late else ""


def person_of(username: str) -> PersonView | None:
    try:
        return ask(FindPerson(username=username))
    except NotFound:  # nothing was written yet, or is not counted yet
        return None


def listed(
    request: HttpRequest, found: Page[PostView], late: object, context: dict[str, Any]
) -> HttpResponse:
    shown = {"cards": html_of(cards(request, found.results)), "page": found, "behind": late}
    return render(request, "feed.html", {**shown, **context})


def editing(
    request: HttpRequest, form: TextForm, post_id: UUID, now: str, late: Behind | None
) -> HttpResponse:
    """The form to change a text. After a POST, which another change came before: what was sent,
    beside the text as it is now; sent once more, it is meant."""
    known = fingerprint(now)
    if request.method != "POST":
        before = kept(request)
        text, original = before.get(TEXT, now), before.get(ORIGINAL, known)
        return textform.show(request, form, text, original=original, behind=late)
    mine, status = text_of(request), PreconditionFailed.status
    if late is not None and post_id in late.streams:  # `now` is not what it is
        sent = original_of(request)
        return textform.show(
            request, form, mine, original=sent, refused=UNSEEN, behind=late, status=status
        )
    return textform.show(
        request, form, mine, original=known, theirs=now, behind=late, status=status
    )


def confirmation(
    request: HttpRequest, question: str, button: str, text: str, back: str
) -> HttpResponse:
    context = {
        "question": question,
        "button": button,
        "text": text,
        "back": back,
        "action": request.path,
    }
    return render(request, "confirm.html", context)
