"""What to do, in short, where the documentation is not served: the sections of docs/operations.md
that the console names."""

from typing import NamedTuple

from django.utils.text import slugify

from messaging import conf


class Advice(NamedTuple):
    section: str  # of docs/operations.md
    steps: tuple[str, ...]

    @property
    def address(self) -> str:
        """Of the section, as `make docs` builds it; empty: the documentation is not served."""
        base = conf.postlog().docs_url
        return base and f"{base}operations.html#{slugify(self.section)}"


WORKERS = Advice(
    "How it stands",
    (
        "Nothing is lost: what is written is stored, and shown once workers run again.",
        "Look whether the process is there, and at the end of its log. One that is frozen (a "
        "stopped container, a full swap) has no last line that says why.",
        "Start it again. A consumer stands by as a relay, and catches up by itself.",
    ),
)
NO_RELAY = Advice(
    "No relay leads",
    (
        "Nothing is lost: events wait in the outbox, in order.",
        "A relay that stands by says in its log which lock another process has. Compare the URL of "
        "its database with the one in that message.",
        "A relay that leads compares the log with the store first, and publishes after that.",
    ),
)
STALLED = Advice(
    "How it stands",
    (
        "See the log of the consumer that has these partitions, and restart it.",
        "If it is frozen, kill it: another one takes over within 10 s.",
        "Where no consumer has ever begun, start one.",
    ),
)
REFUSED = Advice(
    "How it stands",
    (
        "The consumer tries again by itself, at most every 10 s, and catches up.",
        "Disk full: make room for the read database. Read-only: find its primary.",
        "Pages and queries show what was applied before.",
    ),
)
DATABASE = Advice(
    "A primary that moves, and replicas (PostgreSQL)",
    (
        "Look at the database server: whether it runs, its disk, its log.",
        "Workers and web processes connect again by themselves, at most every 10 s.",
        "Where another server has become the primary, name all of them in the URL.",
    ),
)
LOG = Advice(
    "How it stands",
    (
        "Events are stored and wait in the outbox until the broker answers.",
        "Look at the broker; relay and consumers connect again by themselves.",
    ),
)
OTHER_LOG = Advice(
    "The topic was deleted, emptied or recreated; another cluster answers; partitions are missing",
    (
        "Nothing was applied. If the old topic can be had again, correct the settings, and start "
        "the workers.",
        "If not: manage.py republish --all --accept-new-log, then manage.py rebuild --from store.",
    ),
)
HALTED = Advice(
    "Two histories of one stream (a fork)",
    (
        "The other partitions continue. What was written on this one is stored and stays.",
        "manage.py verify lists all second histories. If the store is right: manage.py "
        "reject-record for the other record, then manage.py rebuild --from store.",
        "After that, the consumer starts again by itself.",
    ),
)
NOT_BUILT = Advice(
    "Rebuilding read models",
    (
        "Commands do not write these rows until they are built from the store.",
        "Readers see the rows as they are; the rebuild switches them when it is done.",
    ),
)
LAG = Advice(
    "More than one of each",
    (
        "See in the trend whether it shrinks: then nothing is to be done.",
        "If it grows, start further consumers, on other machines too; they share the partitions.",
        "After a restore or an import it is expected, and passes.",
    ),
)
DEAD_LETTERS = Advice(
    "Dead letters",
    (
        "Other streams continue. Nothing gets worse while these wait.",
        "Read the error. If the code is wrong: correct it, restart the consumers, retry.",
        "Discard only what no code will ever apply: every later generation leaves it out as well.",
    ),
)
NEWER_CODE = Advice(
    "Deploying",
    (
        "A deployment is under way: events of newer code have come before the consumers that know "
        "them.",
        "Start consumers with the newer code; these streams are then applied by themselves.",
    ),
)
SNAPSHOT = Advice(
    "How it stands",
    (
        "A long transaction, such as a dump, keeps the outbox's dead rows.",
        "Let it end, or end it (pg_stat_activity shows whose it is).",
    ),
)
FAILING = Advice(
    "How it stands",
    (
        "Commands that were answered so are stored or not; sent again with the same id, none is "
        "carried out twice.",
        "The log of the web processes has a traceback for each that is a mistake of the code.",
        "503 is no mistake: a database was away, or the server was busy.",
    ),
)
HAZARD = Advice(
    "The topic can lose history",
    ("Nothing is lost yet.", "The warning names the command that cures it."),
)

ALL = (
    WORKERS, NO_RELAY, STALLED, REFUSED, DATABASE, LOG, OTHER_LOG, HALTED, NOT_BUILT, LAG,
    DEAD_LETTERS, NEWER_CODE, SNAPSHOT, FAILING, HAZARD,
)  # fmt: skip
