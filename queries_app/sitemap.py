"""The sitemap: the lists and the newest posts, by one statement whatever there is.

Django's counts all rows and pages by offset, if it is given a queryset. Older posts than these are
found by whoever follows the links between the pages of the lists, and of people.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib.sitemaps import Sitemap
from django.contrib.sitemaps.views import sitemap as answer_of
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from queries_app.queries import newest_changes
from web.pages import page

if TYPE_CHECKING:
    AnySitemap = Sitemap[Any]
else:
    AnySitemap = Sitemap  # not generic at run time

POSTS = 500  # below 100 kB


class Here(AnySitemap):
    """Django's, with the addresses that other pages tell as well."""

    def get_domain(self, site: Any = None) -> str:
        return urlsplit(settings.SITE_URL).netloc or super().get_domain(site)

    def get_protocol(self, protocol: str | None = None) -> str:
        return urlsplit(settings.SITE_URL).scheme or super().get_protocol(protocol)


class Lists(Here):
    def items(self) -> list[str]:
        return ["feed", "most-liked", "with-comments"]

    def location(self, item: str) -> str:
        return reverse(item)


class Posts(Here):
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
