"""Streams that are named by a text that people know, such as a SKU."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from django.db import connection

from commands_app.commands import NewPost
from messaging import mediator
from messaging.eventstore import wait_slots
from messaging.eventstore.keys import id_of_key
from messaging.eventstore.models import Event
from messaging.eventstore.repository import REPOSITORIES, Repository
from messaging.eventstore.unit_of_work import Appended, UnitOfWork, unit_of_work
from messaging.exceptions import DomainError, Invalid
from messaging.message import COMMANDS, Context, Result, command
from messaging.testing import registered
from tests.support.modes import Mode
from tests.support.threads import together

ANN = Context(actor="ann")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemAdded:
    sku: str


@dataclass(slots=True, kw_only=True)
class Item:
    sku: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddItem:
    sku: str


def evolve(item: Item | None, event: ItemAdded) -> Item:
    return Item(sku=event.sku)


def add_item(command: AddItem, uow: UnitOfWork) -> Appended:
    item = items.load(uow, command.sku)
    if item.state is not None:
        raise DomainError("item_exists", "There is such an item already.")
    return items.save(uow, item, [ItemAdded(sku=command.sku)])


items = Repository("stock_item", evolve, Item, schema=1, id_of=str.casefold)
parcels = Repository("parcel", evolve, Item, schema=1)
del REPOSITORIES["stock_item"], REPOSITORIES["parcel"]


@pytest.fixture(autouse=True)
def item_messages() -> Iterator[None]:
    with registered("items.item_added.v1", ItemAdded, stream="stock_item"):
        command(AddItem)
        mediator.handles(AddItem, creates=True)(add_item)
        yield
        del COMMANDS["AddItem"], mediator._command_handlers[AddItem]
        mediator._creating_commands.discard(AddItem)


def stored() -> list[tuple[UUID, int]]:
    return list(Event.objects.order_by("position").values_list("stream_id", "version"))


def test_of_many_who_create_one_key_at_once_exactly_one_does(
    database: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wait_slots, "STUCK_AFTER_S", 60)  # none is refused by a busy machine
    ready = Barrier(12)

    def add(sku: str) -> Result:
        connection.ensure_connection()
        ready.wait()
        return mediator.send(AddItem(sku=sku), ANN)

    results = together(*(partial(add, sku) for sku in ["Tea-1", "TEA-1", "tea-1"] * 4))
    codes = sorted(getattr(result, "code", "made") for result in results)
    assert codes == ["item_exists"] * 11 + ["made"], results
    (made,) = [result for result in results if not hasattr(result, "code")]
    assert stored() == [(made.stream_id, 1)]


def test_the_result_leads_to_the_stream_by_its_id_and_by_its_key(sqlite: Mode) -> None:
    result = mediator.send(AddItem(sku="Tea-1"), ANN)
    assert (result.created, result.version) == (True, 1)
    assert items.stream_id_of("TEA-1") == result.stream_id
    with unit_of_work(ANN) as uow:
        for named in ("tea-1", result.stream_id):
            assert items.load(uow, named).state == Item(sku="Tea-1")


def test_the_same_key_of_another_type_names_another_stream(sqlite: Mode) -> None:
    assert id_of_key("stock_item", "tea") != id_of_key("parcel", "tea")
    assert id_of_key("a:b", "c") != id_of_key("a", "b:c")


def test_the_id_of_a_key_never_changes() -> None:
    """All streams that were begun by a key would be lost."""
    assert str(id_of_key("stock_item", "tea-1")) == "f0413cef-3381-88ed-9e55-535ffe3c308b"


@pytest.mark.parametrize("key", ["", " ", "x" * 201, "a\0", "a\ud800", "tea\u200b", "a\nb"])
def test_a_key_that_cannot_name_anything_is_refused(sqlite: Mode, key: str) -> None:
    with pytest.raises(Invalid, match="a stock item has 1 to 200 characters") as refused:
        mediator.send(AddItem(sku=key), ANN)
    assert (refused.value.code, refused.value.status) == ("invalid_key", 400)
    assert stored() == []


def test_a_key_of_the_greatest_length_is_taken(sqlite: Mode) -> None:
    assert mediator.send(AddItem(sku="é" * 200), ANN).version == 1


def test_an_id_that_belongs_to_a_key_is_not_taken_by_something_else(sqlite: Mode) -> None:
    """Whoever may choose the id of a post could keep a SKU from ever being used."""
    with pytest.raises(DomainError) as refused:
        mediator.send(NewPost(post_id=items.stream_id_of("tea"), message="Hi"), ANN)
    assert (refused.value.code, refused.value.status) == ("id_taken", 409)
    with pytest.raises(DomainError, match="something else"), unit_of_work(ANN) as uow:
        parcels.save(uow, parcels.new(uow, items.stream_id_of("tea")), [ItemAdded(sku="tea")])
    assert stored() == []


def test_what_is_named_by_a_key_is_begun_by_its_key_alone(sqlite: Mode) -> None:
    for stream_id in (uuid4(), items.stream_id_of("tea")):
        with pytest.raises(DomainError, match="something else"), unit_of_work(ANN) as uow:
            items.save(uow, items.load(uow, stream_id), [ItemAdded(sku="tea")])
    with pytest.raises(TypeError, match="begin it with load"), unit_of_work(ANN) as uow:
        items.new(uow)
    assert stored() == []


def test_a_repository_without_keys_takes_none(sqlite: Mode) -> None:
    without = pytest.raises(TypeError, match=r"Repository\(\.\.\., id_of=str\.casefold\)")
    with without, unit_of_work(ANN) as uow:
        parcels.load(uow, "tea")
