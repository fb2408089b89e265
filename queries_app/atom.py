"""Posts as Atom: the newest of all, and those of a person. Each costs one page of a query."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.contrib.syndication.views import Feed
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.utils.html import format_html
from django.views.decorators.http import require_safe

from messaging import NotFound, ask
from queries_app.previews import headline
from queries_app.queries import FindAllPosts, FindPostsByAuthor, PostView
from web.links import people_in
from web.pages import page
from web.people import address_of, has_account
from web.site import at_site
from web.texts import html_of

if TYPE_CHECKING:
    PostFeed = Feed[PostView, Any]
else:
    PostFeed = Feed  # not generic at run time

MAX_TEXT = 1_500  # characters of a post; 20 of them stay below 100 kB
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # XML 1.0, 2.2


def storable(text: str) -> str:
    """The text without what no XML document can hold: texts may have control characters."""
    return NOT_XML.sub("\ufffd", text)


class Atom(Atom1Feed):
    """Django's, whose links within texts lead to this site, as on its pages."""

    def root_attributes(self) -> dict[str, str]:
        return {**super().root_attributes(), "xml:base": self.feed["link"]}

    def latest_post_date(self) -> datetime:
        """Of no posts Django's says now, so that a feed without any would always be a new one."""
        return super().latest_post_date() if self.items else EPOCH


class Newest(PostFeed):
    feed_type = Atom
    title = "Postlog: newest posts"

    def link(self) -> str:
        return at_site(reverse("feed"))

    def feed_url(self) -> str:
        return at_site(reverse("newest-atom"))

    def items(self) -> list[PostView]:
        return self._named(ask(FindAllPosts()).results)

    def _named(self, found: list[PostView]) -> list[PostView]:
        """Note whom they name, by one query for all."""
        self._people = people_in(one.message for one in found)
        return found

    def item_title(self, item: PostView) -> str:
        return storable(f"{item.author}: {headline(item.message)}")

    def item_description(self, item: PostView) -> str:
        shown = html_of(storable(item.message[:MAX_TEXT]), self._people)
        if len(item.message) <= MAX_TEXT:
            return shown
        return format_html('{}<p><a href="{}">more</a></p>', shown, self.item_link(item))

    def item_link(self, item: PostView) -> str:
        return at_site(reverse("post", args=[item.post_id]))

    def item_guid(self, item: PostView) -> str:
        return item.post_id.urn

    def item_pubdate(self, item: PostView) -> Any:
        return item.posted_at

    def item_updateddate(self, item: PostView) -> Any:
        return item.edited_at or item.posted_at

    def item_author_name(self, item: PostView) -> str:
        return storable(item.author)

    def item_author_link(self, item: PostView) -> str | None:
        return address_of(item.author) or None


class OfPerson(Newest):
    """Asks for a person's posts once, of which all else follows."""

    def get_object(
        self, request: HttpRequest, *args: Any, username: str
    ) -> tuple[str, list[PostView]]:
        found = ask(FindPostsByAuthor(author=username)).results
        if not found and not has_account(username):
            raise NotFound("person_not_found", "Nobody has that name.")
        return username, found

    def title(self, person: tuple[str, list[PostView]]) -> str:  # type: ignore[override]
        return f"Postlog: posts by {storable(person[0])}"

    def link(self, person: tuple[str, list[PostView]]) -> str:  # type: ignore[override]
        return at_site(address_of(person[0]))

    def feed_url(self, person: tuple[str, list[PostView]]) -> str:  # type: ignore[override]
        return at_site(reverse("atom", args=[person[0]]))

    def items(self, person: tuple[str, list[PostView]]) -> list[PostView]:  # type: ignore[override]
        return self._named(person[1])


@require_safe
@page
def newest(request: HttpRequest) -> HttpResponse:
    return Newest()(request)


@require_safe
@page
def of_person(request: HttpRequest, username: str) -> HttpResponse:
    return OfPerson()(request, username=username)
