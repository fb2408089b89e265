"""Links to the pages of people."""

from django import template
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

DOTS = (".", "..")  # a browser takes them for a folder


@register.simple_tag
def author_link(name: str, text: str = "") -> SafeString:
    """The name, or another text, as a link to what that person wrote. Rows of events that no
    relay wrote may hold names that fit into no address: those lead nowhere."""
    try:
        url = "" if name in DOTS else reverse("author", args=[name])
    except NoReverseMatch:
        url = ""
    if not url:
        return format_html("<bdi>{}</bdi>", text or name)
    return format_html('<a href="{}">{}</a>', url, text or name)
