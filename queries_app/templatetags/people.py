"""People on pages: links to what they wrote, and their avatars."""

from zlib import crc32

from django import template
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

HUES = 12  # .hue-0 to .hue-11 of postlog.css
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


@register.simple_tag
def avatar(name: str) -> SafeString:
    """An initial on a hue, the same for a name everywhere. The name stands beside it, so it is
    not read out."""
    initial = next(filter(str.isalnum, name), "?").upper()[:1]  # one that is seen; ß becomes SS
    hue = crc32(name.encode(errors="surrogatepass")) % HUES
    html = '<span class="avatar hue-{}" aria-hidden="true">{}</span>'
    return format_html(html, hue, initial)
