"""Operators' actions leave a record of their own."""

import getpass

from messaging.message import MAX_ACTOR
from messaging.monitoring.models import OperatorAction


def record(actor: str, action: str, detail: str = "") -> None:
    """Say who did what, before it is done: what was tried is of interest too."""
    OperatorAction.objects.create(actor=actor[:MAX_ACTOR], action=action, detail=detail)


def record_from_shell(action: str, detail: str = "") -> None:
    record(shell_user(), action, detail)


def shell_user() -> str:
    try:
        return f"{getpass.getuser()} (shell)"
    except (KeyError, OSError):  # a container's user without a name
        return "unknown (shell)"
