"""Golden files: the payload of each event as it was stored, one file a wire name, kept for ever.

    check_golden(Path(__file__).parent / "golden", PLACED, PAID)

A new version of an event gets a file of its own, and the file of the old one stays: an upcaster has
to lead from it to the example of the newest.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from messaging.codec import decode_event, encode_event
from messaging.exceptions import DecodeError, UnknownMessage
from messaging.message import EVENTS
from messaging.testing.events import require_events


def check_golden(folder: Path, *examples: object) -> None:
    """Fail unless each example is written as its file `<wire name>.json` has it, each file there is
    read as the example of the newest version, and no event of the examples' modules is left out.

    check_golden(GOLDEN, OrderPlaced(order_id=UUID(int=1)), OrderPaid(order_id=UUID(int=1)))
    """
    __tracebackhide__ = True
    require_events(examples, "check_golden()")
    for one in examples:
        _require_as_written(folder, one)
    for file in sorted(folder.glob("*.json")):
        _require_readable(file, examples)
    shown = {type(one) for one in examples}
    modules = {one.__module__ for one in shown}
    for wire_name, cls in EVENTS.items():
        if cls.__module__ in modules and cls not in shown:
            raise AssertionError(f"Give check_golden() an example of {cls.__name__} ({wire_name}).")


def _require_as_written(folder: Path, example: object) -> None:
    wire_name, data = encode_event(example)
    file = folder / f"{wire_name}.json"
    if not file.exists():
        raise AssertionError(f"{wire_name} has no golden file. Write {file}:\n{data}")
    if json.loads(data) != json.loads(file.read_text(encoding="utf-8")):
        raise AssertionError(
            f"{wire_name} is written otherwise than {file} has it, and stored events look like the "
            "file. Leave the class as it was, and add the next version with an upcaster; before "
            f"anything is stored, write the file again:\n{data}"
        )


def _require_readable(file: Path, examples: Sequence[object]) -> None:
    try:
        event = decode_event(file.stem, file.read_bytes())
    except UnknownMessage as error:
        raise AssertionError(
            f"Nothing reads {file}: {error} Register its class, or an upcaster to its next version."
        ) from error
    except DecodeError as error:
        raise AssertionError(f"{file} cannot be read any more: {error}") from error
    if event not in examples:
        raise AssertionError(f"{file} is read as {event!r}, which is none of the examples.")
