"""`manage.py status`: what programs read does not change."""

import json

from commands_app.commands import NewPost
from messaging import mediator
from messaging.message import Context
from messaging.projections.registry import PROJECTIONS
from tests.support.consuming import consume_all
from tests.support.modes import Mode
from tests.support.processes import here
from tests.support.relaying import publish_all

PARTS = {
    "events": int, "outbox": int, "log_fault": str, "hazards": list, "lag": int,
    "dead_letters": int, "projections": list, "oldest_snapshot_s": float | None, "workers": list,
}  # fmt: skip
OF_A_PROJECTION = {
    "name": str, "generation": int, "state": str, "rebuild": str | None, "lag": int,
    "lag_by_partition": dict, "halted": dict, "stalled": dict, "dead_letters": int,
    "waits_for_newer_code": int,
}  # fmt: skip


def test_the_json_has_these_fields_in_this_order(database: Mode) -> None:
    mediator.send(NewPost(message="first"), Context(actor="alice"))
    publish_all()
    consume_all()
    mediator.send(NewPost(message="second"), Context(actor="alice"))
    found = json.loads(here("status", "--json").stdout)
    assert (found["events"], found["outbox"]) == (2, 1)
    assert found["lag"] == len(PROJECTIONS) - 1, "of the others"
    for fields, value in ((PARTS, found), (OF_A_PROJECTION, found["projections"][0])):
        assert list(value) == list(fields)
        for name, kind in fields.items():
            assert isinstance(value[name], kind), name
