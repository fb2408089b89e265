"""Posts as pages show them. The HTML of those in lists is kept: most readers see the same ones."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

from django.http import HttpRequest
from django.template import Context, Template
from django.template.loader import get_template
from django.urls import reverse
from django.utils.safestring import SafeString

from queries_app.queries import PostView, liked_by, some_who_like
from queries_app.templatetags.times import ago
from web.links import named_in, people_in

KEPT = 500  # of at most 40 kB of text each
NAMED = 3  # of those who like a post


class Card(NamedTuple):
    """All that the HTML of a post depends on, which is kept for as long as it is asked for."""

    post: PostView
    address: str  # of its page
    ago: str
    edited: str  # as ago, or ""
    liked: bool
    mine: bool
    people: frozenset[str]  # whom it names
    sign_in: str  # where who is not signed in does so; "" for those who are


def cards(request: HttpRequest, found: Sequence[PostView]) -> list[Card]:
    """The posts, as whoever asks sees them."""
    username = request.user.get_username() if request.user.is_authenticated else ""
    liked = liked_by(username, [one.post_id for one in found]) if username else set()
    people = people_in(one.message for one in found)
    sign_in = "" if username else f"{reverse('login')}?next={quote(request.get_full_path())}"
    return [
        Card(
            post=one,
            address=reverse("post", args=[one.post_id]),
            ago=ago(one.posted_at),
            edited=ago(one.edited_at) if one.edited_at else "",
            liked=one.post_id in liked,
            mine=one.author == username,
            people=people & named_in(one.message),
            sign_in=sign_in,
        )
        for one in found
    ]


def one_card(request: HttpRequest, found: PostView) -> dict[str, Any]:
    """What the template of a card needs to show one post, and who likes it."""
    names = some_who_like(found.post_id, NAMED) if found.likes else []
    others = max(0, found.likes - len(names))
    [card] = cards(request, [found])
    return {"card": card, "likers": names, "others": others}


def html_of(shown: list[Card]) -> list[SafeString]:
    """The cards of a list."""
    template = get_template("card.html").template  # type: ignore[attr-defined]  # not in the stubs
    return [_html(template, one) for one in shown]


@lru_cache(maxsize=KEPT)
def _html(template: Template, card: Card) -> SafeString:
    """Of this template: with DEBUG one that was edited is another."""
    return template.render(Context({"card": card}))
