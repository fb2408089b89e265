"""People on pages: links to what they wrote, and their avatars."""

from zlib import crc32

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from web.people import address_of

register = template.Library()

HUES = 12  # .hue-0 to .hue-11 of postlog.css


@register.simple_tag
def author_link(name: str, text: str = "") -> SafeString:
    """The name, or another text, as a link to what that person wrote."""
    if address := address_of(name):
        return format_html('<a href="{}">{}</a>', address, text or name)
    return format_html("<bdi>{}</bdi>", text or name)


@register.simple_tag
def avatar(name: str) -> SafeString:
    """An initial on a hue, the same for a name everywhere. The name stands beside it, so it is
    not read out."""
    initial = next(filter(str.isalnum, name), "?").upper()[:1]  # one that is seen; ß becomes SS
    hue = crc32(name.encode(errors="surrogatepass")) % HUES
    html = '<span class="avatar hue-{}" aria-hidden="true">{}</span>'
    return format_html(html, hue, initial)
