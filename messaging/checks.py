"""System checks: what would lose events or fail at the first request is said at start."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, router

from messaging import conf, inline
from messaging.bus import current_bus
from messaging.conf import read_alias, write_alias
from messaging.dialect import dialect_of, sessions
from messaging.eventstore.triggers import missing_triggers
from messaging.exceptions import Unreachable
from messaging.projections.columns import columns_without_default
from messaging.projections.consuming import checkpoints
from messaging.projections.registry import PROJECTIONS
from messaging.router import database_of

TAG = "messaging"  # what our commands ask at start: all but 'check' and the servers do without URLs


@register(TAG)
def databases_are_there(**kwargs: Any) -> list[CheckMessage]:
    missing = [alias for alias in conf.aliases() if alias not in settings.DATABASES]
    places = [
        tuple(settings.DATABASES[alias].get(key) for key in ("ENGINE", "HOST", "PORT", "NAME"))
        for alias in conf.aliases()
        if alias not in missing
    ]
    faults = [f"DATABASES[{alias!r}] is missing." for alias in missing]
    if len(set(places)) < len(places):
        faults = [f"DATABASES[{read_alias()!r}] and DATABASES[{write_alias()!r}] are one database."]
    return [
        Error(
            fault,
            hint="Give the read side a database of its own (the same server will do), or set "
            f'POSTLOG["READ_DATABASE"] = {write_alias()!r} to keep both sides in one.',
            id="postlog.E002",
        )
        for fault in faults
    ]


@register(TAG)
def sqlite_locks_before_it_reads(**kwargs: Any) -> list[CheckMessage]:
    return [
        Warning(
            f"DATABASES[{alias!r}] begins its transactions without a lock: SQLite refuses the "
            "first write of one (`database is locked`) if another process wrote since it began.",
            hint='Set its OPTIONS to {"transaction_mode": "IMMEDIATE", "timeout": 20, '
            '"init_command": "PRAGMA journal_mode=WAL"}.',
            id="postlog.W002",
        )
        for alias in conf.aliases()
        if (config := settings.DATABASES.get(alias, {})).get("ENGINE", "").endswith(".sqlite3")
        and config.get("OPTIONS", {}).get("transaction_mode", "").upper() != "IMMEDIATE"
    ]


@register(TAG)
def times_have_zones(**kwargs: Any) -> list[CheckMessage]:
    """SQLite refuses every command without; on PostgreSQL some operations fail."""
    if settings.USE_TZ:
        return []
    return [
        Error(
            "USE_TZ is False, and the time of an event is a moment: it has a zone.",
            hint="Set USE_TZ = True. What that means for your own tables: Django's documentation, "
            '"Time zones", migration guide. On PostgreSQL they stay as they are.',
            id="postlog.E013",
        )
    ]


@register(TAG)
def commands_have_transactions_of_their_own(**kwargs: Any) -> list[CheckMessage]:
    return [
        Warning(
            f"DATABASES[{alias!r}] has ATOMIC_REQUESTS: a view of yours that sends a command or "
            "waits for a token fails inside that transaction.",
            hint=f"Decorate such views with @transaction.non_atomic_requests(using={alias!r}), as "
            "those of messaging.api are, and silence this.",
            id="postlog.W003",
        )
        for alias in conf.aliases()
        if settings.DATABASES.get(alias, {}).get("ATOMIC_REQUESTS")
    ]


@register(TAG)
def settings_are_right(**kwargs: Any) -> list[CheckMessage]:
    faults = conf.faults()
    if not faults:
        try:
            conf.actors()
        except ImportError as error:
            hint = "Name a subclass of messaging.actors.Actors."
            faults = [conf.Fault('POSTLOG["ACTORS"]', f"cannot be imported: {error}.", hint)]
        try:
            current_bus()  # connects on use
        except ImproperlyConfigured as error:
            faults += [conf.Fault('POSTLOG["KAFKA"]', f"cannot be used: {error}", "")]
    return [
        Error(f"{one.setting} {one.message}", hint=one.hint, id="postlog.E004") for one in faults
    ]


@register(Tags.database)
def event_store_is_append_only(databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """SQLite drops triggers in silence when a migration remakes the table."""
    if write_alias() not in (databases or ()):
        return []
    return [
        Error(
            f"The event store's trigger {name} is missing: events could be changed.",
            hint="Create it as messaging/eventstore/triggers.py has it; on an empty store "
            "`manage.py migrate messaging zero` and `manage.py migrate` do.",
            id="postlog.E003",
        )
        for name in missing_triggers(connections[write_alias()])
    ]


@register(Tags.database)
def sessions_last(databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """A pooler takes locks and kept plans away."""
    if not databases or conf.faults() or set(conf.aliases()) - set(settings.DATABASES):
        return []  # E002 and E004 say what is wrong
    try:
        return [
            Error(fault, hint=sessions.WHAT_TO_SET, id="postlog.E006")
            for fault in sessions.faults()
        ]
    except Unreachable:
        return []  # whoever needs the database says so


@register(TAG)
def the_router_knows_both_sides(**kwargs: Any) -> list[CheckMessage]:
    """Read models are committed with their checkpoints, events with their outbox."""
    if set(conf.aliases()) - set(settings.DATABASES):
        return []  # E002 says what is wrong; a router would not cure it
    return [
        Error(
            f"DATABASE_ROUTERS puts {model._meta.label} into {found!r} instead of {wanted!r}.",
            hint="Set DATABASE_ROUTERS = ['messaging.router.SplitRouter'], or let yours put it "
            f"into {wanted!r}, before you migrate.",
            obj=model,
            id="postlog.E007",
        )
        for model in apps.get_models()
        if (wanted := database_of(model)) and (found := router.db_for_write(model)) != wanted
    ]


@register(TAG)
def new_columns_have_defaults(**kwargs: Any) -> list[CheckMessage]:
    """Between `migrate` and the start of the new code, the old code inserts rows without them."""
    models = {model for projection in PROJECTIONS.values() for model in projection.models}
    return [
        Error(
            f"{model.__name__}.{field} was added later and has neither a default in the database "
            "nor null: consumers of the running code could not insert a row.",
            hint="Give it null=True, or both default= and db_default= (Python's is what the new "
            "code writes), and run `manage.py makemigrations`.",
            obj=model,
            id="postlog.E005",
        )
        for model, field in columns_without_default(sorted(models, key=str))
    ]


@register(TAG)
def read_models_are_of_this_code(**kwargs: Any) -> list[CheckMessage]:
    """A warning: the old rows keep serving until the rebuild is done."""
    return [
        Warning(
            f"The code of projection {name!r} is of version {PROJECTIONS[name].version}, its read "
            f"models were built by version {built}.",
            hint=f"Run `manage.py rebuild {name}`.",
            id="postlog.W001",
        )
        for name, built in _asked(checkpoints.code_versions).items()
        if PROJECTIONS[name].version > built
    ]


@register(TAG)
def what_settings_ask_for_is_installed(**kwargs: Any) -> list[CheckMessage]:
    if conf.faults():
        return []
    asked = {
        ("METRICS_TOKEN", "prometheus_client", "metrics"): conf.postlog().metrics_token,
        ("TRACES", "opentelemetry", "otel"): conf.postlog().traces,
    }
    return [
        Error(
            f'POSTLOG["{setting}"] is set, and {package} is not installed.',
            hint=f"pip install 'postlog[{extra}]', or leave the setting out.",
            id="postlog.E011",
        )
        for (setting, package, extra), is_asked in asked.items()
        if is_asked and find_spec(package) is None
    ]


@register(TAG)
def inline_projections_share_a_database_with_the_events(**kwargs: Any) -> list[CheckMessage]:
    if read_alias() == write_alias():
        return []
    return [
        Error(inline.ONE_DATABASE.format(name=name), hint=inline.HOW, id="postlog.E010")
        for name, one in PROJECTIONS.items()
        if one.inline
    ]


@register(TAG)
def inline_projections_are_built(**kwargs: Any) -> list[CheckMessage]:
    """A warning: the rows keep serving as they are until the rebuild is done."""
    return [
        Warning(
            f"The projection {name!r} is inline, and nobody writes its rows: they lack events of "
            "before it was there, or consumers have filled them.",
            hint=f"When no process with the former code is left, run `manage.py rebuild {name}`.",
            id="postlog.W005",
        )
        for name in _asked(inline.unbuilt)
    ]


def _asked(question: Callable[[], dict[str, int] | list[str]]) -> Any:
    """Ask the read database; nothing where there is none yet: `migrate` is to come."""
    if read_alias() not in settings.DATABASES:
        return {}
    connection = connections[read_alias()]
    if not dialect_of(connection).exists(connection):
        return {}
    try:
        return question()
    except DatabaseError:
        return {}
