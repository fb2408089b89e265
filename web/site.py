"""What the site says of itself to crawlers, and to systems on which it is installed."""

from urllib.parse import urljoin

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

DAY_S = 86_400
PAGE = "#f6f7f9"  # as --page of postlog.css; a manifest knows one scheme
ICONS = {"postlog-192.png": "192x192", "postlog-512.png": "512x512"}


def at_site(path: str) -> str:
    """Where others are told that a page is: at SITE_URL. Where that is empty it stays a path."""
    return urljoin(settings.SITE_URL, path)


def absolute(request: HttpRequest, path: str) -> str:
    """The same, and in the place of an empty SITE_URL the host that is asked."""
    return request.build_absolute_uri(at_site(path))


def favicon(request: HttpRequest) -> HttpResponse:
    """For pages that name no icon of their own, and for readers that look for no other."""
    return redirect(static("postlog-192.png"), permanent=True)


@require_safe
@cache_control(max_age=DAY_S, public=True)
def manifest(request: HttpRequest) -> HttpResponse:
    icons = [
        {"src": static(name), "sizes": sizes, "type": "image/png"} for name, sizes in ICONS.items()
    ]
    said = {
        "name": "Postlog",
        "short_name": "Postlog",
        "start_url": "/",
        "display": "minimal-ui",
        "background_color": PAGE,
        "theme_color": PAGE,
        "icons": [*icons, {"src": static("postlog.svg"), "sizes": "any", "type": "image/svg+xml"}],
    }
    return JsonResponse(said, content_type="application/manifest+json")


@require_safe
@cache_control(max_age=DAY_S, public=True)
def robots(request: HttpRequest) -> HttpResponse:
    context = {"sitemap": absolute(request, "/sitemap.xml")}
    return render(request, "robots.txt", context, content_type="text/plain")
