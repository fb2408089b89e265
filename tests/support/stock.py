"""A second aggregate beside posts: items of a stock, and commands over a post and items."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from messaging import mediator
from messaging.eventstore.repository import Repository
from messaging.eventstore.unit_of_work import UnitOfWork
from messaging.message import INTERNAL_COMMANDS, command
from messaging.testing import registered


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    amount: int
    post_id: UUID | None = None  # for which post


@command(internal=True)
@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """Reserve items for a post."""

    item_id: UUID | None = None
    post_id: UUID | None = None
    other_id: UUID | None = None


INTERNAL_COMMANDS.pop(Reserve.__name__)  # for all other tests it is not there


def evolve(amount: int | None, event: Reserved) -> int:
    return (amount or 0) + event.amount


items: Repository[int, Reserved] = Repository("stock_item", evolve, int, schema=1)


@contextmanager
def stock() -> Iterator[None]:
    with registered("stock.reserved.v1", Reserved, stream="stock_item"):
        yield


def reserve(uow: UnitOfWork, item_id: UUID, amount: int = 1) -> Any:
    return items.save(uow, items.load(uow, item_id), [Reserved(amount=amount)])


def handle(monkeypatch: pytest.MonkeyPatch, handler: Callable[[Reserve, UnitOfWork], Any]) -> None:
    """Let it handle `Reserve` for the rest of the test."""
    monkeypatch.setitem(mediator._command_handlers, Reserve, handler)
