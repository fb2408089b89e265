"""What the log leaves out."""

import logging

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
MAX_LENGTH = 300  # characters of what a client has sent


def one_line(record: logging.LogRecord) -> bool:
    """A logging filter that lets everything pass. What Django refuses (a Host that is not ours, a
    form of too many fields) comes with a traceback, which says nothing more, and which whoever
    sends it could fill a disk with."""
    if record.name.startswith("django.security"):
        record.exc_info = record.exc_text = None
        record.msg, record.args = ascii(record.getMessage()[:MAX_LENGTH])[1:-1], ()
    return True


def at_least(least: str, level: str) -> str:
    """The level, but no more talkative than `least`."""
    return max(least, level, key=LEVELS.index)
