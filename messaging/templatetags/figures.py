"""What templates need to show numbers and ages."""

from datetime import UTC, datetime

from django import template

from messaging.message import utc_now

register = template.Library()
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


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
def clock(moment: datetime, form: str = "%H:%M:%S") -> str:
    """The time of day in UTC, with the date unless it is today's: "27 Nov 03:12:41 UTC"."""
    utc = moment.astimezone(UTC)
    today = utc.date() == utc_now().date()
    return f"{utc:{form}} UTC" if today else f"{utc.day} {utc:%b} {utc:{form}} UTC"
