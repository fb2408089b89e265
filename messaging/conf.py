"""Postlog's settings: one dictionary in Django's settings, with a default for everything.

    POSTLOG = {"KAFKA": {"bootstrap_servers": "kafka:9092", "topic": "orders"}, "MAX_LAG": 1_000}

Read on access, so that `override_settings` works. `manage.py check` names what is wrong.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from msgspec import NODEFAULT, Meta, Struct, ValidationError, convert
from msgspec.structs import fields

if TYPE_CHECKING:
    from messaging.actors import Actors

PARTITIONS = 'POSTLOG["KAFKA"]["partitions"]'  # for messages

WRITE_DATABASE, READ_DATABASE = "default", "read"

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]


class KafkaSettings(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """POSTLOG["KAFKA"]"""

    bootstrap_servers: str = ""  # comma separated host:port; empty: the embedded log is used
    topic: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,249}$")] = "events"
    partitions: Annotated[int, Meta(ge=1, le=1_000)] = 12  # never changed once there are events
    # Replicas of a new topic; 0: as many as there are brokers, at most 3.
    replication: Annotated[int, Meta(ge=0, le=100)] = 0
    security: dict[str, Any] = {}  # arguments of a kafka-python client, whichever is used
    client: Literal["kafka-python", "confluent"] = "kafka-python"


class Postlog(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, rename="upper"):
    """The keys of POSTLOG, in capitals there."""

    kafka: KafkaSettings = KafkaSettings()
    # Ids and secrets. The first signs records, all verify them.
    record_keys: tuple[tuple[str, Annotated[str, Meta(min_length=32)]], ...] = ()
    sign_records: bool | None = None  # None: with Kafka, once there are keys
    # Aliases in DATABASES: where events are, and where read models are. They may be the same.
    write_database: str = WRITE_DATABASE
    read_database: str = READ_DATABASE
    # Django's settings of the database that has the locks; None: each database has its own.
    lock_database: dict[str, Any] | None = None
    actors: str = "messaging.actors.Actors"  # the class that says who an actor is
    # Actors without accounts: processes, jobs. A restored store makes none of them.
    machine_actors: tuple[Annotated[str, Meta(min_length=1, max_length=254)], ...] = ()
    worker_stall_seconds: Positive = 120  # a worker that has not moved for so long ends
    max_lag: NotNegative = 10_000  # events not shown yet, above which /health/ready says 503
    # Whoever sends it may read /metrics; empty: there is no such page.
    metrics_token: Annotated[str, Meta(pattern=r"^(.{16,})?$")] = ""
    # Where the documentation is served, for the console's links; empty: it names page and section.
    docs_url: Annotated[str, Meta(pattern=r"^(https?://.+/)?$")] = ""
    traces: bool = False  # by OpenTelemetry; where to is said by its own variables
    web_threads: Positive = 8  # requests that a web process works on at once
    idempotency_hours: Positive = 24  # how long the answer to an Idempotency-Key is kept


class Fault(NamedTuple):
    """A setting that is wrong, missing or unknown."""

    setting: str  # as it stands in Django's settings: POSTLOG["KAFKA"]["topic"]
    message: str
    hint: str


def postlog() -> Postlog:
    """The settings as they are now. Raises `ImproperlyConfigured`, which names the wrong one."""
    try:
        return convert(_given(), Postlog)
    except ValidationError as error:
        found = faults() or [Fault("POSTLOG", str(error), "")]
        raise ImproperlyConfigured(" ".join(found[0])) from error


def write_alias() -> str:
    """The alias of the database with the events."""
    return _alias("WRITE_DATABASE", WRITE_DATABASE)


def read_alias() -> str:
    """The alias of the database with the read models."""
    return _alias("READ_DATABASE", READ_DATABASE)


def aliases() -> list[str]:
    """Both, or the one that is both."""
    return list(dict.fromkeys((write_alias(), read_alias())))


def actors() -> "type[Actors]":
    """The class that says who an actor is."""
    found: type[Actors] = import_string(postlog().actors)
    return found


def signs_records() -> bool:
    """By default with Kafka, once there are keys: whoever can write to the embedded log can write
    to the event store as well."""
    now = postlog()
    by_default = bool(now.kafka.bootstrap_servers)
    return bool(now.record_keys) and (by_default if now.sign_records is None else now.sign_records)


def idempotency_window() -> timedelta:
    """How long the answer to an Idempotency-Key is kept: `Context(remember_for=...)` of a command
    whose sender may send it again."""
    return timedelta(hours=postlog().idempotency_hours)


def wait_slots() -> int:
    """How many threads of a web process may wait for one thing: at most half, so that the others
    go on answering."""
    return max(1, postlog().web_threads // 2)


def faults() -> list[Fault]:
    """All that is wrong with POSTLOG. No message repeats a value, which may be a secret."""
    return list(_faults_of("POSTLOG", Postlog, _given()))


def _alias(key: str, default: str) -> str:
    """Without a look at the other settings: it is asked at every statement."""
    given = _given()
    return str(given.get(key, default)) if isinstance(given, Mapping) else default


def _given() -> Any:
    return getattr(settings, "POSTLOG", {})


def _faults_of(place: str, kind: type[Struct], given: Any) -> Iterator[Fault]:
    if not isinstance(given, Mapping):
        yield Fault(place, "is not a dictionary.", "Leave it out for the defaults.")
        return
    known = {field.encode_name: field for field in fields(kind)}
    for name, value in given.items():
        where = f'{place}["{name}"]'
        if name not in known:
            close = get_close_matches(str(name).upper() if place == "POSTLOG" else str(name), known)
            hint = f"Did you mean {close[0]!r}?" if close else f"One of {', '.join(known)}."
            yield Fault(where, "is not a setting of Postlog.", hint)
        elif isinstance(known[name].type, type) and issubclass(known[name].type, Struct):
            yield from _faults_of(where, known[name].type, value)
        else:
            yield from _fault_of_value(where, known[name], value)


def _fault_of_value(where: str, field: Any, value: Any) -> Iterator[Fault]:
    try:
        convert(value, field.type)
    except ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        default = {} if field.default is NODEFAULT else field.default
        hint = f"Leave it out for the default, {default!r}."
        yield Fault(f"{where}{path.rstrip('`')}", f"is wrong: {message}.", hint)
