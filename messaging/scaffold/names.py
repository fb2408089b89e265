"""The names of an aggregate, its events and its commands, and what is made of them.

What cannot be used is refused with `NameRefused`, before anything is written.
"""

import builtins
import keyword
import re
from dataclasses import dataclass

from messaging.exceptions import PostlogError
from messaging.projections.read_models import RootModel

CAMEL_CASE = re.compile(r"[A-Z][A-Za-z0-9]*")
WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
VOWEL = re.compile(r"(?!uni|use|eu|one)[aeiou]|hour|heir|hono")
MAX_AGGREGATE, MAX_MESSAGE = 24, 34  # characters; longer lines could not be laid out
INDEX = 22  # characters of a name that Django takes for an index, with what is added


class NameRefused(PostlogError):
    """A name cannot be used. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """`Order` in all of its forms."""

    name: str

    @property
    def snake(self) -> str:
        return snake_case(self.name)

    @property
    def words(self) -> str:
        return self.snake.replace("_", " ")

    @property
    def an(self) -> str:
        return f"{'an' if VOWEL.match(self.words) else 'a'} {self.words}"

    @property
    def An(self) -> str:
        return self.an[0].upper() + self.an[1:]

    @property
    def names(self) -> str:
        return plural(self.name)

    @property
    def plural(self) -> str:
        return plural(self.snake)

    @property
    def words_plural(self) -> str:
        return plural(self.words)

    @property
    def id(self) -> str:
        return f"{self.snake}_id"

    @property
    def constant(self) -> str:
        return self.snake.upper()

    @property
    def index(self) -> str:
        return f"{self.plural[:INDEX].rstrip('_')}_by_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventName:
    """`OrderPaid`: its wire name, and `paid`, by which state and read model know of it."""

    name: str
    wire_name: str
    field: str
    says: str

    @property
    def snake(self) -> str:
        return snake_case(self.name)

    @property
    def constant(self) -> str:
        return self.field.upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandName:
    """`PayOrder`, and the event that it leads to."""

    name: str
    says: str
    event: EventName

    @property
    def snake(self) -> str:
        return snake_case(self.name)


def aggregate(name: str) -> Aggregate:
    require_name(name, MAX_AGGREGATE)
    return Aggregate(name=name)


def event_names(of: Aggregate, app: str, names: list[str]) -> list[EventName]:
    """`app` is the first part of their wire names."""
    taken = {of.snake, of.id, of.plural, of.words}
    found: list[EventName] = []
    for name in names:
        require_name(name, MAX_MESSAGE)
        snake = snake_case(name)
        field = snake.removeprefix(f"{of.snake}_")
        if field in taken or not _may_be_a_field(field):
            field = snake
        if field in taken:
            raise NameRefused(f"{name}: there is a field {field} already. Choose another name.")
        taken.add(field)
        says = f"{snake.replace('_', ' ').capitalize()}."
        if snake == f"{of.snake}_{field}" and "_" not in field:
            says = f"{'The ' + of.words if found else of.An} was {field}."
        wire_name = f"{app}.{snake}.v1"
        found.append(EventName(name=name, wire_name=wire_name, field=field, says=says))
    return found


def command_names(of: Aggregate, events: list[EventName], names: list[str]) -> list[CommandName]:
    """Each leads to the event in the same place."""
    if len(names) > len(events):
        left = ", ".join(names[len(events) :])
        raise NameRefused(
            f"{left}: a command leads to the event in the same place of --events, and there is "
            "none. Name one event for each command, in their order; what leads to the same event "
            "or to several is written by hand afterwards."
        )
    found = []
    for name, event in zip(names, events, strict=False):
        require_name(name, MAX_MESSAGE)
        snake = snake_case(name)
        says = f"{snake.replace('_', ' ').capitalize()}."
        if (verb := snake.removesuffix(f"_{of.snake}")) != snake:
            says = f"{verb.replace('_', ' ').capitalize()} {of.an}."
        found.append(CommandName(name=name, says=says, event=event))
    return found


def require_name(name: str, most: int) -> None:
    if not CAMEL_CASE.fullmatch(name):
        better = "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))
        hint = f", as {better} is" if CAMEL_CASE.fullmatch(better) else ""
        raise NameRefused(f"{name!r} is no name for a class: write it in CamelCase{hint}.")
    if len(name) > most:
        raise NameRefused(f"{name} has {len(name)} characters: choose one of {most} at most.")
    snake = snake_case(name)
    if keyword.iskeyword(snake) or hasattr(builtins, snake):
        raise NameRefused(
            f"{name}: Python has a meaning for {snake!r}, which a module or a function would be "
            "called. Add a word to it."
        )


def snake_case(name: str) -> str:
    return WORDS.sub("_", name).lower()


def plural(word: str) -> str:
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}es" if re.search(r"(s|x|z|ch|sh)$", word) else f"{word}s"


def _may_be_a_field(name: str) -> bool:
    """Also of a read model: `OrderDeleted` may not replace its `delete`."""
    fields = {one.name for one in RootModel._meta.fields}
    taken = {"id", "objects", *fields, *dir(RootModel)}
    return not keyword.iskeyword(name) and name not in taken
