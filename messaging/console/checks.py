"""A system check of what the console needs from the site around it."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve


@register(Tags.urls)
def a_page_to_sign_in_is_there(**kwargs: Any) -> list[CheckMessage]:
    """The console has no form of its own: it leads to the site's."""
    if _leads_to_a_form(settings.LOGIN_URL):
        return []
    return [
        Error(
            f"LOGIN_URL is {settings.LOGIN_URL!r}, which is no sign-in page: nobody can sign in to "
            "the console.",
            hint="Set it to the name or the address of the site's own, not of the admin's: "
            '"login", with django.contrib.auth.urls in your URLs.',
            id="postlog.E008",
        )
    ]


def _leads_to_a_form(target: str) -> bool:
    """The admin's own page would lead to itself."""
    try:
        address = urlsplit(resolve_url(target))
        if address.netloc:
            return True
        return resolve("/" + address.path.removeprefix(get_script_prefix())).view_name != (
            "admin:login"
        )
    except (NoReverseMatch, Resolver404):
        return False
