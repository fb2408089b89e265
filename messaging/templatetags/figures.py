"""What templates need to show numbers and ages."""

from datetime import datetime

from django import template

from messaging.message import utc_now

register = template.Library()
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
DATE_AFTER_S = 7 * 86_400


@register.filter
def thousands(number: int | None) -> str:
    """12345 -> "12,345" """
    return "unknown" if number is None else f"{number:,}"


@register.filter
def age(moment: datetime) -> str:
    """How long ago, in one unit."""
    seconds = max(0, round((utc_now() - moment).total_seconds()))
    for length, name in UNITS:
        if seconds >= length:
            return f"{seconds // length} {name}"
    return f"{seconds} s"


@register.filter
def ago(moment: datetime) -> str:
    """How a reader says when: "just now", "5 min ago", "3 d ago", and the date after a week."""
    seconds = (utc_now() - moment).total_seconds()
    if seconds >= DATE_AFTER_S:
        return f"{moment.day} {moment:%b %Y}"
    return "just now" if seconds < UNITS[-1][0] else f"{age(moment)} ago"
