"""Reads the environment, once, and collects what is wrong with it.

`manage.py check` reports each problem as a system check, with the default standing in.
Everything else refuses to start: on the defaults it would work on other databases than meant.
"""

import logging
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"
MIN_KEY_LENGTH = 32  # characters of SECRET_KEY

# Parameters of libpq. A peer that dies without a word is noticed within half a minute, whether
# the connection is idle (keepalives) or has sent something (tcp_user_timeout, milliseconds).
NOTICE_A_DEAD_PEER = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

SQLITE = "django.db.backends.sqlite3"
POSTGRESQL = "django.db.backends.postgresql"
ASSIGNMENT = re.compile(r"(?:export )?[A-Za-z_0-9]+=")  # what environ reads of a file
ORIGIN = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
PERCENT = "special characters of a user or a password as %40 for @, %2F for /, %23 for #"

env = environ.Env()


class Problem(NamedTuple):
    setting: str
    message: str
    hint: str


problems: list[Problem] = []
read: set[str] = set()  # the names of all settings


class UnclearURL(ValueError):
    """Says why without repeating any part of the URL, which may have a password anywhere."""


def read_file() -> None:
    """The file that ENV_FILE names; `.env`, if there is one, when it names none."""
    named = os.environ.get("ENV_FILE", "")
    path = BASE_DIR / (named or ".env")
    if path.is_file():
        # It would log lines that it cannot read, and a secret may stand in one.
        logging.getLogger("environ").setLevel(logging.ERROR)
        environ.Env.read_env(path)
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if line.strip() and not line.lstrip().startswith("#") and not ASSIGNMENT.match(line):
                message = f"Line {number} of {path} is neither NAME=value nor a comment."
                problems.append(Problem("ENV_FILE", message, "Correct it."))
    elif named:
        problems.append(Problem("ENV_FILE", f"There is no file {path}.", "Correct the name."))


def refuse_problems() -> None:
    """Exit with the problems found, unless this is `manage.py check`, which reports them.

    Called by the settings, because not every command runs system checks (migrate, shell and
    dbshell do not, nor does a web server).
    """
    if problems and sys.argv[1:2] != ["check"]:
        sys.exit("\n".join(f"{p.setting}: {p.message} {p.hint}" for p in problems))


def text(name: str, default: str = "") -> str:
    """Empty means the default. Every setting is read through here."""
    read.add(name)
    return env.str(name, default="").strip() or default


def names_with(*prefixes: str) -> list[str]:
    """Those that are set and begin so, whether they are settings or not."""
    return sorted(name for name, value in os.environ.items() if name.startswith(prefixes) and value)


def one_of(name: str, choices: tuple[str, ...]) -> str:
    """One of the choices, or nothing."""
    value = text(name)
    if value and value not in choices:
        problems.append(
            Problem(name, f"{value!r} is none of them.", f"One of {', '.join(choices)}.")
        )
        return ""
    return value


def switch(name: str, default: bool) -> bool:
    known = {"on": True, "true": True, "yes": True, "1": True}
    known |= {"off": False, "false": False, "no": False, "0": False}
    value = text(name).lower()
    if value and value not in known:
        problems.append(Problem(name, f"{value!r} is neither on nor off.", "Say on or off."))
    return known.get(value, default)


def whole_number(name: str, default: int, *, least: int, most: int, former: str = "") -> int:
    """`former`: the name that it had before, which is still read."""
    value = text(name) or (former and env.str(former, default="").strip()) or str(default)
    if value.isascii() and value.isdigit() and least <= int(value[:9]) <= most:
        return int(value)
    message = f"{value!r} is no whole number from {least} to {most}."
    problems.append(Problem(name, message, f"Give a number; {default} is the default."))
    return default


def words(name: str) -> list[str]:
    """Divided by commas; empty: none."""
    return [word.strip() for word in text(name).split(",") if word.strip()]


def origin(name: str) -> str:
    """Scheme and host of a site, or nothing."""
    value = text(name).removesuffix("/")
    if value and not ORIGIN.fullmatch(value):
        hint = "Give scheme and host alone, such as https://postlog.example, or nothing."
        problems.append(Problem(name, f"{value!r} is not the address of a site.", hint))
        return ""
    return value


def redis(name: str) -> str:
    """The URL of a Redis, or nothing. Of no other cache: for several processes it has to add in one
    step, and must not forget."""
    value = text(name)
    if not value:
        return ""
    from redis import ConnectionPool  # takes long, and most run without it

    try:
        if not value.startswith(("redis://", "rediss://")) or not urlsplit(value).hostname:
            raise ValueError("it names no Redis")
        ConnectionPool.from_url(value).make_connection()  # which is not opened
    except (TypeError, ValueError):
        hint = "redis://host:6379/0 or rediss://user:password@host:6379/0, or empty"
        problems.append(Problem(name, "This is no URL of a Redis.", hint))
        return ""
    return value


def database(name: str, default: str, *, pooled: bool) -> dict[str, Any]:
    """Django's settings of a database URL."""
    value = text(name, default)
    try:
        return database_of(value, pooled=pooled)
    except (KeyError, ValueError, environ.ImproperlyConfigured) as error:
        hint = "sqlite:///var/write.sqlite3 or postgresql://user:password@host:5432/name"
        problems.append(Problem(name, not_a_database(error), f"{hint}; {PERCENT}."))
        return database_of(default)


def lock_database(name: str, *, needed: bool) -> dict[str, Any] | None:
    """Django's settings of the PostgreSQL database that has the locks; None: each its own."""
    value = text(name)
    hint = "postgresql://user:password@host:5432/name, which reaches PostgreSQL without a pooler"
    if not value:
        if needed:
            message = "It is empty, and POOLED is on: locks need sessions that last."
            problems.append(Problem(name, message, f"Set it to {hint}."))
        return None
    try:
        config = database_of(value)
    except (KeyError, ValueError, environ.ImproperlyConfigured) as error:
        problems.append(Problem(name, not_a_database(error), f"{hint}; {PERCENT}."))
        return None
    if config["ENGINE"] != POSTGRESQL:
        problems.append(Problem(name, "This is not PostgreSQL.", hint))
        return None
    return config


def database_of(url: str, *, pooled: bool = False) -> dict[str, Any]:
    """Django's settings of a URL; a relative SQLite path is relative to manage.py.

    `pooled`: a pooler may hand the session on after each transaction, so nothing is kept in it.
    """
    refuse_unclear(url)
    config: dict[str, Any] = env.db_url_config(url)
    if not config.get("NAME"):
        raise UnclearURL("it names no database")
    session = session_settings()
    config["CONN_MAX_AGE"] = None
    config["CONN_HEALTH_CHECKS"] = True
    if config["ENGINE"] == SQLITE:
        config["NAME"] = str(BASE_DIR / config["NAME"])
        private_folder(Path(config["NAME"]).parent)
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # FULL: what was committed and answered survives a power cut.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        }
    else:
        options = dict(config.get("OPTIONS", {}))  # of the URL's query: they win
        if "," in config.get("HOST", ""):
            # Of several servers the one that takes writes, also after a failover.
            options.setdefault("target_session_attrs", "read-write")
        session = f"{session} {options.get('options', '')}".strip()
        config["OPTIONS"] = {**NOTICE_A_DEAD_PEER, **options, "options": session}
        if pooled:
            config["DISABLE_SERVER_SIDE_CURSORS"] = True  # nor are plans kept then
            del config["OPTIONS"]["options"]  # poolers refuse them
    return config


def refuse_unclear(url: str) -> None:
    """Raises `UnclearURL` where environ would warn with the URL's parts, or take a password for
    one of them: with a `/` in it, what follows would be the name of a database, and stand in
    messages of errors."""
    engine = env.DB_SCHEMES.get(urlsplit(url).scheme)
    if engine not in (SQLITE, POSTGRESQL):
        raise UnclearURL("neither SQLite nor PostgreSQL")
    _, slashes, rest = url.partition("://")
    if not slashes:
        raise UnclearURL("no :// stands behind its scheme")
    if engine == SQLITE and not rest.startswith("/") and rest != ":memory:":
        raise UnclearURL("a file has no host: three slashes, four before an absolute path")
    user = rest.rpartition("@")[0]
    if engine == POSTGRESQL and any(mark in user for mark in "/?#"):
        raise UnclearURL("a /, ? or # stands in its user or password")


def not_a_database(error: Exception) -> str:
    """Errors of libraries repeat the part that they cannot read."""
    return f"This is no database URL{f' ({error})' if isinstance(error, UnclearURL) else ''}."


def private_folder(folder: Path) -> Path:
    """Make it, for this user only. One that is there stays as it is, but for `var/`, which holds
    databases, rejected commands and credentials, and which nobody else has business in."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if folder == VAR_DIR and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)
    return folder


def session_settings() -> str:
    """The settings of every PostgreSQL session, as libpq's `options`."""
    seconds = whole_number("IDLE_TRANSACTION_SECONDS", 15, least=0, most=86_400)
    names = (
        # Ends the session of a process that is frozen inside a transaction: its locks go.
        "idle_in_transaction_session_timeout",
        # So too if the process does not take the answer that PostgreSQL sends it.
        "tcp_user_timeout",
    )
    return " ".join(f"-c {name}={seconds}s" for name in names)
