"""Acts that change the code, a table or the way to the database while clients are at work."""

import random
import shutil
import time
from contextlib import suppress
from pathlib import Path

from dev.server import temporary_folder
from tests.faults.history.acts import _postgres, _replace, act
from tests.faults.history.stack import End, Part, Stack
from tests.support.processes import ROOT

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "var", "__pycache__", ".schemathesis", "*_cache")
OLD, NEW = "posts.message_updated.v1", "posts.message_updated.v2"
UPCASTER = f'''

from messaging.codec import upcaster  # noqa: E402


@upcaster("{OLD}", "{NEW}")
def lift(data):
    return data
'''


def newer_code() -> Path:
    """A copy of the project that writes another version of an event, and reads both."""
    tree = temporary_folder("history-code")
    shutil.copytree(ROOT, tree, ignore=LEFT_OUT, dirs_exist_ok=True)
    contract = tree / "contracts" / "posts.py"
    text = contract.read_text()
    assert OLD in text
    contract.write_text(text.replace(OLD, NEW))
    handlers = tree / "commands_app" / "handlers.py"
    handlers.write_text(handlers.read_text() + UPCASTER)
    return tree


@act(lasts_s=(3, 8))
def deploy_code_with_a_newer_event(stack: Stack, chance: random.Random) -> End | None:
    """One after the other, in the documented order or, now and then, web first."""
    if stack.tree != ROOT:
        return None
    stack.tree = newer_code()
    stack.trees.append(stack.tree)
    roles = ["consumer", "relay", "web"] if chance.random() < 0.6 else ["web", "relay", "consumer"]
    parts = [part for role in roles for part in stack.of(role)]
    left = parts[-1:] if roles[-1] == "web" else parts[1:]
    for part in parts:
        if part not in left:
            deployed(stack, part)
    return lambda: [deployed(stack, part) for part in left] and None


def deployed(stack: Stack, part: Part) -> None:
    part.cwd = stack.tree
    if part.wanted:
        _replace(stack, part)


@act("postgresql", lasts_s=(3, 6))
def migrate_a_column_without_a_default(stack: Stack, chance: random.Random) -> End:
    """As somebody's migration might. Consumers may end, and say why; nothing may be parked."""
    found = _postgres(stack)
    stack.may_end = {"consumer"}
    column = "ALTER TABLE queries_app_post ADD COLUMN IF NOT EXISTS pinned boolean NOT NULL DEFAULT"
    found.execute(f"{column} false", "read")
    found.execute("ALTER TABLE queries_app_post ALTER COLUMN pinned DROP DEFAULT", "read")

    def end() -> None:
        found.execute("ALTER TABLE queries_app_post ALTER COLUMN pinned SET DEFAULT false", "read")
        time.sleep(2)  # one that is just ending
        stack.may_end = set()

    return end


@act("postgresql", lasts_s=(5, 12))
def go_through_pgbouncer(stack: Stack, chance: random.Random) -> End | None:
    """All processes, one after the other, and back again. Skipped where there is none."""
    pooler = _postgres(stack).pooler()
    if pooler is None:
        return None
    for part in stack.parts.values():
        direct = part.env["WRITE_DATABASE_URL"]
        urls = {
            name: pooler.through(part.env[name])
            for name in ("WRITE_DATABASE_URL", "READ_DATABASE_URL")
        }
        part.env |= {**urls, "LOCK_DATABASE_URL": direct, "POOLED": "on"}
        _again(stack, part)

    def end() -> None:
        for part in stack.parts.values():
            part.env = {**stack.env_of(part.role), "PGAPPNAME": part.name}
            _again(stack, part)

    return end


def _again(stack: Stack, part: Part) -> None:
    if part.wanted:
        with suppress(AssertionError):  # a web server that does not answer will show
            _replace(stack, part)
