"""`check_golden` of the testing kit."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from messaging.codec import upcaster, upcasting
from messaging.testing import check_golden, registered

V1, V2 = "kit.order_placed.v1", "kit.order_placed.v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced:
    item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPaid:
    amount: int


TEA = OrderPlaced(item="tea")


@pytest.fixture(autouse=True)
def _event() -> Iterator[None]:
    with registered(V2, OrderPlaced, stream="order"):
        yield


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    write(tmp_path, V2, {"item": "tea"})
    return tmp_path


def write(folder: Path, wire_name: str, payload: Any) -> None:
    (folder / f"{wire_name}.json").write_text(json.dumps(payload))


def test_an_event_that_is_written_and_read_as_its_file_has_it_passes(golden: Path) -> None:
    check_golden(golden, TEA)


def test_one_that_is_written_otherwise_fails_and_says_what_to_do(golden: Path) -> None:
    with pytest.raises(AssertionError, match="add the next version with an upcaster"):
        check_golden(golden, OrderPlaced(item="coffee"))


def test_one_without_a_file_is_told_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=rf'{V2}.json:\n{{"item":"tea"}}'):
        check_golden(tmp_path, TEA)


def test_an_old_file_that_nothing_reads_fails(golden: Path) -> None:
    write(golden, V1, {"what": "tea"})
    with pytest.raises(AssertionError, match="an upcaster to its next version"):
        check_golden(golden, TEA)


@pytest.mark.parametrize(
    ("payload", "why"),
    [({"what": "tea"}, ""), ({}, "cannot be read any more"), ({"what": "x"}, "none of the examp")],
)
def test_an_old_file_is_lifted_to_the_example(golden: Path, payload: Any, why: str) -> None:
    write(golden, V1, payload)
    upcaster(V1, V2)(lambda data: {"item": data["what"]} if data else {})
    try:
        if not why:
            check_golden(golden, TEA)
            return
        with pytest.raises(AssertionError, match=why):
            check_golden(golden, TEA)
    finally:
        del upcasting._upcasters[V1]


def test_an_event_of_the_same_module_needs_an_example_too(golden: Path) -> None:
    left_out = pytest.raises(AssertionError, match="an example of OrderPaid")
    with registered("kit.order_paid.v1", OrderPaid, stream="order"), left_out:
        check_golden(golden, TEA)


def test_what_is_no_event_is_a_type_error(golden: Path) -> None:
    with pytest.raises(TypeError, match="takes events"):
        check_golden(golden, "tea")
