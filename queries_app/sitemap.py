"""The sitemap: the lists and the newest posts, by one statement whatever there is.

Django's counts all rows and pages by offset, if it is given a queryset. Older posts are found by
the links between the pages of the lists.
"""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.sitemaps import Sitemap
from django.contrib.sitemaps.views import sitemap as answer_of
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from queries_app.queries import newest_changes
from web.pages import page

if TYPE_CHECKING:
    OfNames = Sitemap[str]
    OfPosts = Sitemap[tuple[UUID, datetime]]
else:
    OfNames = OfPosts = Sitemap  # not generic at run time

POSTS = 500  # below 100 kB


class Lists(OfNames):
    def items(self) -> list[str]:
        return ["feed", "most-liked", "with-comments"]

    def location(self, item: str) -> str:
        return reverse(item)


class Posts(OfPosts):
    def items(self) -> list[tuple[UUID, datetime]]:
        return newest_changes(POSTS)

    def location(self, item: tuple[UUID, datetime]) -> str:
        return reverse("post", args=[item[0]])

    def lastmod(self, item: tuple[UUID, datetime]) -> datetime:
        return item[1]


@require_safe
@page
def sitemap(request: HttpRequest) -> HttpResponse:
    return answer_of(request, {"lists": Lists, "posts": Posts}).render()
