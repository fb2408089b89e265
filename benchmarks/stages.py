"""When new streams come through relay and consumer: `python -m benchmarks.stages FILE runrelay`.

Runs a command of manage.py. Writes to the file, at its end, for each stage the moments of the
machine's monotonic clock at which the streams' first events had come through it.
"""

import json
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SEEN_IN = "posts"  # the projection that the query reads

moments: dict[str, dict[str, float]] = {}  # stage -> stream -> when


def note(stage: str, streams: Iterable[str]) -> None:
    now, known = time.monotonic(), moments.setdefault(stage, {})
    for stream in streams:
        known.setdefault(stream, now)


def watch_relay() -> None:
    from messaging.relay import outbox

    oldest, remove = outbox.oldest, outbox.remove

    def taking(*args: Any, **kwargs: Any) -> Any:
        pending = oldest(*args, **kwargs)
        note("taken", (one.message.key for one in pending))
        return pending

    def removing(pending: Any, *args: Any) -> Any:
        note("published", (one.message.key for one in pending))  # acknowledged just now
        return remove(pending, *args)

    outbox.oldest, outbox.remove = taking, removing


def watch_consumer() -> None:
    from messaging.projections.consuming import consumer

    consume_all = consumer.consume_all

    def consuming(projection: Any, generation: int, records: Mapping[int, Any], *rest: Any) -> Any:
        streams = [r.key.decode() for part in records.values() for r in part if r.key]
        if projection.name == SEEN_IN:
            note("fetched", streams)
        found = consume_all(projection, generation, records, *rest)
        if projection.name == SEEN_IN:
            note("applied", streams)
        return found

    consumer.consume_all = consuming


if __name__ == "__main__":
    import django
    from django.core.management import call_command

    django.setup()
    watch_relay()
    watch_consumer()
    try:
        call_command(*sys.argv[2:])
    finally:
        Path(sys.argv[1]).write_text(json.dumps(moments))
