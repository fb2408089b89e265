"""Run the benchmarks that are named, or all, and print a table."""

import importlib
import json
import logging
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Result
from benchmarks.setup import servers

NAMES = (
    "write", "relay", "consume", "serve", "latency", "long_streams", "rebuild", "scale", "outage",
    "browse", "signing", "bulk", "clients", "plots", "samples",
    "search",
)  # fmt: skip
RESULTS = Path(__file__).parent / "results"


def main(names: list[str]) -> int:
    unknown = set(names) - set(NAMES)
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}.")  # noqa: T201
        return 2
    table = Table("what", "workload", "ours", "against", "ratio", "target", "")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # servers stop while clients look on
    if len(names) != 1:
        # Each on servers of its own: some fill the log past the store.
        return max(subprocess.call([sys.executable, "-m", "benchmarks", n]) for n in names or NAMES)
    with servers():
        found = list(importlib.import_module(f"benchmarks.{names[0]}").results())
    for result in found:
        table.add_row(*row(result))
    keep(names[0], found)
    Console(width=180).print(table)
    return 0


def row(result: Result) -> list[str]:
    sign = "≥" if result.higher_is_better else "≤"
    return [
        result.name,
        result.workload,
        f"{result.ours:,.1f} {result.unit}",
        f"{result.against}: {result.limit:,.1f}",
        f"{result.ratio:.2f}",
        f"{sign} {result.target:g}",
        "" if result.met else "short",
    ]


def keep(name: str, found: list[Result]) -> None:
    RESULTS.mkdir(exist_ok=True)
    rows = [{**asdict(result), "ratio": result.ratio, "met": result.met} for result in found]
    content = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "results": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
