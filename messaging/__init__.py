"""Commands, events, projections and queries for Django: all that a project imports.

    from messaging import Repository, command, event, handles, send

docs/reference.md has an entry with an example for each. What is not listed here is private and may
change in any release.

A name is loaded when it is first asked for. So `import messaging` works before `django.setup()`,
and an event's module needs neither Django's models nor REST framework nor a client of Kafka.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = [
    "ANONYMOUS",
    "MAX_PAGE_SIZE",
    "PAGE_SIZE",
    "Actors",
    "AlreadyReserved",
    "Appended",
    "AskForRebuild",
    "Asker",
    "Behind",
    "ConcurrentChange",
    "Context",
    "DomainError",
    "Envelope",
    "Forbidden",
    "IdempotencyKeyReused",
    "Invalid",
    "KeptStatement",
    "Loaded",
    "NamedAsker",
    "NeedsNewerCode",
    "NotFound",
    "NotSignedIn",
    "Page",
    "Position",
    "PostlogError",
    "PreconditionFailed",
    "Projection",
    "Query",
    "ReadModel",
    "ReadSideBehind",
    "RegistrationError",
    "Repeats",
    "Repository",
    "Result",
    "RootModel",
    "Rows",
    "SortKey",
    "StreamBusy",
    "TooLarge",
    "TooManyRequests",
    "TotalModel",
    "UnitOfWork",
    "UnknownMessage",
    "answer_headers",
    "answers",
    "anyone",
    "applied",
    "ask",
    "behind",
    "command",
    "context_of",
    "daily",
    "drop_connections",
    "encode_cursor",
    "error_answer",
    "error_responses",
    "event",
    "explain_codes",
    "halted",
    "handles",
    "idempotency_window",
    "is_away",
    "is_username",
    "leader_changed",
    "live",
    "live_root",
    "page_of",
    "parked",
    "published",
    "query",
    "rebuilds_result",
    "remember",
    "send",
    "signed_in",
    "staff",
    "start_counting",
    "stored",
    "switched",
    "upcaster",
]

if TYPE_CHECKING:
    from messaging.access import ANONYMOUS, Asker, NamedAsker, anyone, signed_in, staff
    from messaging.actors import Actors
    from messaging.api.answers import error_answer
    from messaging.api.openapi import error_responses
    from messaging.codec.upcasting import upcaster
    from messaging.conf import idempotency_window
    from messaging.dialect.kept import KeptStatement
    from messaging.error_codes import explain_codes
    from messaging.eventstore.repository import Loaded, Repository
    from messaging.eventstore.unit_of_work import Appended, UnitOfWork
    from messaging.exceptions import (
        AlreadyReserved,
        ConcurrentChange,
        DomainError,
        Forbidden,
        IdempotencyKeyReused,
        Invalid,
        NeedsNewerCode,
        NotFound,
        NotSignedIn,
        PostlogError,
        PreconditionFailed,
        ReadSideBehind,
        RegistrationError,
        StreamBusy,
        TooLarge,
        TooManyRequests,
        UnknownMessage,
    )
    from messaging.http import answer_headers, context_of
    from messaging.mediator import answers, ask, handles, send
    from messaging.message import (
        Context,
        Envelope,
        Position,
        Query,
        Result,
        command,
        event,
        query,
    )
    from messaging.monitoring.tallies import start_counting
    from messaging.plausible import is_username
    from messaging.projections.read_models import ReadModel, RootModel, TotalModel
    from messaging.projections.registry import Projection
    from messaging.projections.rows import Rows
    from messaging.projections.serving.live import live, live_root
    from messaging.projections.serving.own_changes import Behind, behind, remember
    from messaging.projections.serving.paging import (
        MAX_PAGE_SIZE,
        PAGE_SIZE,
        Page,
        SortKey,
        encode_cursor,
        page_of,
    )
    from messaging.rebuilding.migration_operation import AskForRebuild
    from messaging.recovery.restore import rebuilds_result
    from messaging.signals import (
        applied,
        halted,
        leader_changed,
        parked,
        published,
        stored,
        switched,
    )
    from messaging.transient import drop_connections, is_away
    from messaging.workers.cleaning import daily
    from messaging.workers.repeats import Repeats
else:  # a type checker would take every name for one that is here
    _NAMES = {
        "access": "ANONYMOUS Asker NamedAsker anyone signed_in staff",
        "actors": "Actors",
        "api.answers": "error_answer",
        "api.openapi": "error_responses",
        "codec.upcasting": "upcaster",
        "conf": "idempotency_window",
        "dialect.kept": "KeptStatement",
        "error_codes": "explain_codes",
        "eventstore.repository": "Loaded Repository",
        "eventstore.unit_of_work": "Appended UnitOfWork",
        "exceptions": "AlreadyReserved ConcurrentChange DomainError Forbidden IdempotencyKeyReused "
        "Invalid NeedsNewerCode NotFound NotSignedIn PostlogError PreconditionFailed "
        "ReadSideBehind RegistrationError StreamBusy TooLarge TooManyRequests UnknownMessage",
        "http": "answer_headers context_of",
        "mediator": "answers ask handles send",
        "message": "Context Envelope Position Query Result command event query",
        "monitoring.tallies": "start_counting",
        "plausible": "is_username",
        "projections.read_models": "ReadModel RootModel TotalModel",
        "projections.registry": "Projection",
        "projections.rows": "Rows",
        "projections.serving.live": "live live_root",
        "projections.serving.own_changes": "Behind behind remember",
        "projections.serving.paging": "MAX_PAGE_SIZE PAGE_SIZE Page SortKey encode_cursor page_of",
        "rebuilding.migration_operation": "AskForRebuild",
        "recovery.restore": "rebuilds_result",
        "signals": "applied halted leader_changed parked published stored switched",
        "transient": "drop_connections is_away",
        "workers.cleaning": "daily",
        "workers.repeats": "Repeats",
    }
    _MODULE_OF = {
        name: f"messaging.{module}" for module, names in _NAMES.items() for name in names.split()
    }

    def __getattr__(name: str) -> object:
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'messaging' has no attribute {name!r}")
        globals()[name] = found = getattr(import_module(_MODULE_OF[name]), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
