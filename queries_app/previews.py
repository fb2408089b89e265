"""What others show of a page: search engines, chats, whoever is sent a link to it."""

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from queries_app.queries import PersonView, PostView
from web.people import address_of
from web.site import absolute
from web.texts import excerpt, shortened, without_marks

MAX_TITLE, MAX_DESCRIPTION = 80, 200  # characters; others cut what is longer
IMAGE = "postlog-512.png"  # a PNG, for those who know no SVG


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Pages without one are in no index of a search engine."""

    title: str
    description: str
    kind: str  # website, article, profile: a type of ogp.me
    url: str  # the one address under which the page is known, whatever led to it
    image: str
    published: datetime | None = None
    atom: str = ""  # the address of the same as Atom


def of_list(request: HttpRequest, name: str, title: str) -> Preview | None:
    """Pages behind the first one change with each post, and have none."""
    if "cursor" in request.GET:
        return None
    return Preview(
        title=f"{title} posts on Postlog",
        description="Posts, what people say to them, and every change of them.",
        kind="website",
        url=absolute(request, reverse(name)),
        image=_image(request),
        atom=reverse("newest-atom") if name == "feed" else "",
    )


def of_person(request: HttpRequest, username: str, person: PersonView | None) -> Preview | None:
    """None as well of somebody who has not written anything."""
    if "cursor" in request.GET or person is None:
        return None
    plural = "" if person.posts == 1 else "s"
    since = f"{person.since.day} {person.since:%B %Y}"
    return Preview(
        title=f"Posts by {username}",
        description=f"{person.posts} post{plural} on Postlog since {since}.",
        kind="profile",
        url=absolute(request, address_of(username)),
        image=_image(request),
        atom=reverse("atom", args=[username]),
    )


def of_post(request: HttpRequest, post: PostView) -> Preview:
    """The same for each page of its comments."""
    title = f"{post.author}: {headline(post.message)}"
    return Preview(
        title=title,
        description=in_one_line(without_marks(post.message), MAX_DESCRIPTION),
        kind="article",
        url=absolute(request, reverse("post", args=[post.post_id])),
        image=_image(request),
        published=post.posted_at,
    )


def headline(text: str) -> str:
    """The title of a text, or how it begins, in one line."""
    return in_one_line(excerpt(text).title or without_marks(text), MAX_TITLE)


def in_one_line(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else shortened(line, length)


def _image(request: HttpRequest) -> str:
    return absolute(request, static(IMAGE))
