"""What the log leaves out."""

import logging

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
MAX_LENGTH = 300  # characters of what a client has sent


def one_line(record: logging.LogRecord) -> bool:
    """A logging filter that lets everything pass. What Django refuses (a Host that is not ours, a
    form of too many fields, an address of 60,000 characters) comes whole, and partly with a
    traceback, which says nothing more, and which whoever sends it could fill a disk with."""
    refused = record.name == "django.request" and record.levelno < logging.ERROR
    if refused or record.name.startswith("django.security"):
        record.exc_info = record.exc_text = None
        text = record.getMessage()[:MAX_LENGTH]
        plain = text.isascii() and text.isprintable()
        record.msg, record.args = text if plain else ascii(text)[1:-1], ()
    return True


def at_least(least: str, level: str) -> str:
    """The level, but no more talkative than `least`."""
    return max(least, level, key=LEVELS.index)
