"""How readers say when."""

from datetime import datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import now

register = template.Library()

UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
DATE_AFTER_S = 7 * 86_400


@register.filter
def ago(moment: datetime) -> str:
    """ "just now", "5 min ago", "3 d ago", and the date after a week."""
    seconds = round((now() - moment).total_seconds())
    if seconds >= DATE_AFTER_S:
        return f"{moment.day} {moment:%b %Y}"
    for length, name in UNITS:
        if seconds >= length:
            return f"{seconds // length} {name} ago"
    return "just now"


@register.simple_tag
def when(moment: datetime, text: str = "") -> SafeString:
    """The time as readers say it, or another text, with the exact one for programs and as a hint.

    HTML that is kept needs the text: what `ago` says would go stale in it.
    """
    exact = f"{moment.day} {moment:%b %Y, %H:%M:%S} UTC"
    html = '<time datetime="{}" title="{}">{}</time>'
    return format_html(html, moment.isoformat(), exact, text or ago(moment))
