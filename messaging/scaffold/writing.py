"""Render the files of an aggregate, and write them where nothing is yet.

docs/decisions/0034-what-startaggregate-writes.md
"""

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from typing import Any

from django.apps import apps
from django.template import Context, Engine

import messaging
from messaging.eventstore.repository import REPOSITORIES
from messaging.message import (
    COMMANDS,
    EVENTS,
    INTERNAL_COMMANDS,
    INTERNAL_QUERIES,
    QUERIES,
)
from messaging.projections.registry import PROJECTIONS
from messaging.scaffold.layout import line_length, tidy
from messaging.scaffold.names import (
    Aggregate,
    CommandName,
    EventName,
    NameRefused,
    aggregate,
    command_names,
    event_names,
    snake_case,
)

FOLDER = Path(__file__).parent / "files"
MODULES = {path.stem for path in FOLDER.glob("*.py-tpl")} | {"migrations", "tests"}
GOLDEN_ID = "00000000-0000-0000-0000-000000000001"  # as tests/examples.py has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be written, and where."""

    package: str  # the dotted name of the new app
    folder: Path
    it: Aggregate
    events: list[EventName]
    commands: list[CommandName]
    files: dict[str, str]  # by their paths in the folder


def plan(root: Path, name: str, events: list[str], commands: list[str], app: str = "") -> Plan:
    """Render everything, and raise `NameRefused` for whatever cannot be written.

    Where `app` is there already, the aggregate becomes an app within it: none of its files are
    touched, and each aggregate keeps its own models and migrations.
    """
    it = aggregate(name)
    _require_each_once([name, *events, *commands])
    app = app or it.plural
    package, folder = _place(root, app, it)
    named = event_names(it, app.rpartition(".")[2], events)
    planned = command_names(it, named, commands)
    _require_unknown(it, package, named, planned)
    gap = "\n" if Path(messaging.__file__).parents[1] == root else ""  # isort: a first party
    context = {
        "it": it,
        "package": package,
        "config": f"{_camel_case(package.rpartition('.')[2])}Config",
        "events": named,
        "first": named[0],
        "others": named[1:],
        "commands": planned,
        "creates": planned[0],
        "changes": planned[1:],
        "gap": gap,
    }
    files = dict(_rendered(context, line_length(root)))
    _require_one_meaning(files, it, named, planned)
    return Plan(package=package, folder=folder, it=it, events=named, commands=planned, files=files)


def write(planned: Plan) -> None:
    """Raises `FileExistsError` if the folder is there by now."""
    planned.folder.mkdir()
    for name, text in planned.files.items():
        path = planned.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _place(root: Path, app: str, it: Aggregate) -> tuple[str, Path]:
    """The package and the folder of the new app, where nothing is yet."""
    parts = app.split(".")
    if any(not one.isidentifier() or one != one.lower() or iskeyword(one) for one in parts):
        raise NameRefused(f"--app {app}: name a package in lower case, such as {it.plural}.")
    package, folder = app, _home(root, parts[0]).joinpath(*parts)
    if (folder / "__init__.py").is_file():
        package, folder = f"{app}.{it.snake}", folder / it.snake
    elif len(parts) > 1 and not (folder.parent / "__init__.py").is_file():
        raise NameRefused(f"--app {app}: there is no package {app.rpartition('.')[0]} in {root}.")
    if folder.exists():
        raise NameRefused(
            f"{folder} is there already. Nothing was written: move it away, or name another "
            "place with --app."
        )
    label = package.rpartition(".")[2]
    if label in {one.label for one in apps.get_app_configs()}:
        raise NameRefused(
            f"An installed app has the label {label!r} already. Name another place with --app."
        )
    return package, folder


def _home(root: Path, package: str) -> Path:
    """The folder that a package is in, or will be."""
    if root not in {Path(entry or ".").resolve() for entry in sys.path}:
        raise NameRefused(f"Nothing is imported from {root}: run this in the folder of manage.py.")
    spec = find_spec(package)
    if spec is None:
        return root
    for place in map(Path, spec.submodule_search_locations or ()):
        if place.is_relative_to(root):
            return place.parent
    raise NameRefused(f"--app {package}: a Python module has this name. Choose another one.")


def _require_each_once(names: list[str]) -> None:
    counted = Counter(map(snake_case, names))
    for name in names:
        if counted[snake_case(name)] > 1:
            raise NameRefused(f"{name} is named twice. Give each its own name.")


def _require_unknown(
    it: Aggregate, package: str, events: list[EventName], commands: list[CommandName]
) -> None:
    queries = {**QUERIES, **INTERNAL_QUERIES}
    sent = {**COMMANDS, **INTERNAL_COMMANDS}
    classes = {cls.__name__: cls for cls in EVENTS.values()}
    known = [
        *((f"event {one.name}", classes.get(one.name)) for one in events),
        *((f"event {one.wire_name}", EVENTS.get(one.wire_name)) for one in events),
        *((f"command {one.name}", sent.get(one.name)) for one in commands),
        *((f"query Find{one}", queries.get(f"Find{one}")) for one in (it.name, it.names)),
    ]
    for what, cls in known:
        if cls is not None:
            raise NameRefused(
                f"There is a registered {what} already, in {cls.__module__}. Choose another name."
            )
    if it.snake in REPOSITORIES or it.plural in PROJECTIONS:
        raise NameRefused(
            f"There are streams of the type {it.snake!r}, or a projection {it.plural!r}, already. "
            "Give the aggregate another name."
        )


def _rendered(context: dict[str, Any], width: int) -> Iterator[tuple[str, str]]:
    engine, it = Engine(autoescape=False), context["it"]
    for path in sorted(FOLDER.rglob("*.py-tpl")):
        name = path.relative_to(FOLDER).with_suffix(".py").as_posix()
        template = engine.from_string(path.read_text(encoding="utf-8"))
        text = template.render(Context(context, autoescape=False))
        yield name.replace("aggregate", it.snake), tidy(text, width)
    for name in ("__init__.py", "migrations/__init__.py", "tests/__init__.py"):
        yield name, ""
    for event in context["events"]:
        yield f"tests/golden/{event.wire_name}.json", f'{{"{it.id}": "{GOLDEN_ID}"}}\n'


def _require_one_meaning(
    files: dict[str, str], it: Aggregate, events: list[EventName], commands: list[CommandName]
) -> None:
    """Raise where one of the given names hides another, such as an aggregate called Page."""
    if it.snake in MODULES:
        raise NameRefused(f"{it.name}: its module would be called {it.snake}.py. Add a word to it.")
    named_by = dict.fromkeys((it.name, it.names, it.snake, it.plural, it.constant), it.name)
    for command in commands:
        named_by |= dict.fromkeys((command.name, command.snake), command.name)
    for event in events:
        names = (event.name, event.snake, event.field, event.constant)
        named_by |= dict.fromkeys(names, event.name)
    for path, text in files.items():
        if path.endswith(".py"):
            top, inside = _bound(ast.parse(text))
            for name, given in named_by.items():
                if top.count(name) > 1 or (name in top and name in inside):
                    raise NameRefused(
                        f"{given}: {name} would mean two things in {path}. Choose another name."
                    )


def _bound(tree: ast.Module) -> tuple[list[str], set[str]]:
    """The names that a module binds, and those that its functions bind."""
    top = [name for node in tree.body for name in _names_of(node)]
    functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)]
    inside = {argument.arg for one in functions for argument in one.args.args}
    inside |= {name for one in functions for node in one.body for name in _names_of(node)}
    return top, inside


def _names_of(node: ast.stmt) -> Iterable[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [one.id for one in targets if isinstance(one, ast.Name)]


def _camel_case(label: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in label.split("_"))
