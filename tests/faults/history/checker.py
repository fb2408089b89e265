"""Judge a recorded history: `python -m tests.faults.history.checker RECORD WRITE_URL READ_URL
TOPIC [KAFKA]` prints what broke a promise, with its evidence, and exits 1."""

import sys
from collections.abc import Iterable
from pathlib import Path

from tests.faults.history import recorder, sources
from tests.faults.history.facts import Facts, Violation
from tests.faults.history.rules import RULES, Known

SHOWN = 5  # of each rule


def check(found: Facts) -> list[Violation]:
    """Everything that breaks a promise, by rule."""
    known = Known(found)
    return [Violation(name, evidence) for name, rule in RULES.items() for evidence in rule(known)]


def gather(record: Path, write_url: str, read_url: str, topic: str, kafka: str = "") -> Facts:
    """The facts of a run: what was recorded, and what databases and log hold now."""
    write, read = sources.Database(write_url), sources.Database(read_url)
    found = recorder.load(record)
    found.events, found.streams = sources.events(write), sources.streams(write)
    found.log = sources.kafka_log(kafka, topic) if kafka else sources.embedded_log(write, topic)
    found.tables = sources.tables(read)
    found.level = sources.level(write, read, found.log)
    return found


def report(found: Facts, violations: Iterable[Violation]) -> str:
    """How much was looked at, and each broken rule with its first pieces of evidence."""
    unknown = sum(command.outcome == "unknown" for command in found.commands)
    away = sum(answer.status == 503 for answer in found.answers)
    lines = [
        f"{len(found.commands):,} commands ({sum(c.attempts for c in found.commands):,} attempts, "
        f"{unknown} of unknown outcome), {len(found.reads):,} reads, {len(found.pages):,} pages, "
        f"{len(found.events):,} events, {len(found.log):,} records, {away:,} times 503"
    ]
    by_rule: dict[str, list[str]] = {}
    for rule, evidence in violations:
        by_rule.setdefault(rule, []).append(evidence)
    for rule, evidence_of in by_rule.items():
        lines.append(f"BROKEN {rule.replace('_', ' ')}: {len(evidence_of)} times")
        lines += [f"    {evidence[:1_000]}" for evidence in evidence_of[:SHOWN]]
    lines.append(
        f"{len(by_rule)} of {len(RULES)} rules are broken" if by_rule else "all rules hold"
    )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    if len(arguments) not in (4, 5):
        print(__doc__)  # noqa: T201
        return 2
    record, *others = arguments
    found = gather(Path(record), *others)
    violations = check(found)
    print(report(found, violations))  # noqa: T201
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
