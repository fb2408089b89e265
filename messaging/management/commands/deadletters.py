"""`manage.py deadletters list|show|retry|discard`"""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from messaging.management.base import DatabaseCommand
from messaging.monitoring.audit import record_from_shell
from messaging.monitoring.pretty_json import readable
from messaging.projections.consuming import resolving
from messaging.projections.consuming.dead_letters import is_head
from messaging.projections.models import DeadLetter
from messaging.projections.registry import PROJECTIONS

MAX_LISTED = 100
MAX_SHOWN = 300  # characters of a reason


class Command(DatabaseCommand):
    help = (
        "List the events that could not be applied, retry them, or discard them. Later "
        "events of the same stream wait behind them; other streams are not held up."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        several = actions.add_parser(
            "list", help="One line each, those that wait for nobody first."
        )
        several.add_argument("--projection", choices=sorted(PROJECTIONS))
        several.add_argument("--limit", type=int, default=MAX_LISTED, help="Lines at most.")
        show = actions.add_parser("show", help="The traceback and the record of one.")
        show.add_argument("id", type=int)
        again = actions.add_parser(
            "retry", help="Apply the streams of these dead letters, in order."
        )
        again.add_argument("id", type=int, nargs="*")
        again.add_argument("--all", action="store_true", help="Every dead letter there is.")
        again.add_argument("--projection", choices=sorted(PROJECTIONS), help="With --all.")
        discard = actions.add_parser(
            "discard", help="Give one event up for good: its stream continues without it."
        )
        discard.add_argument("id", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['action']}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        parked = resolving.in_order(options["projection"])
        # What only waits is counted with what it waits for.
        heads = parked.filter(is_head()).order_by("id")
        for one in heads[: options["limit"]]:
            stream = f"{one.stream_id} v{one.version}" if one.stream_id else "no stream"
            self.stdout.write(
                f"{one.id}  {one.parked_at:%Y-%m-%d %H:%M:%S}  {one.projection}  "
                f"{one.code}  {stream}  (+{_behind(one)} behind)  {_last_line(one.reason)}"
            )
        count = heads.count()
        more = f", {options['limit']} of them shown" if count > options["limit"] else ""
        self.stdout.write(f"{count:,} dead letters{more}, {parked.count():,} with those behind.")

    def _show(self, options: dict[str, Any]) -> None:
        dead_letter = _one(options["id"])
        for name in ("id", "projection", "generation", "code", "stream_id", "version", "event_id",
                     "partition", "offset", "parked_at"):  # fmt: skip
            self.stdout.write(f"{name:<11} {getattr(dead_letter, name)}")
        self.stdout.write(f"{'behind it':<11} {_behind(dead_letter)}")
        self.stdout.write(f"{'key':<11} {readable(dead_letter.key)}")
        self.stdout.write(f"\n{dead_letter.reason.rstrip()}\n\n{readable(dead_letter.value)}")

    def _retry(self, options: dict[str, Any]) -> None:
        if bool(options["id"]) == options["all"]:
            raise CommandError("Name dead letters by their ids, or say --all.", returncode=2)
        record_from_shell("retry dead letters", "all" if options["all"] else str(options["id"]))
        everything = resolving.in_order(options["projection"])
        parked = everything if options["all"] else map(_one, options["id"])
        failed_again = 0
        for one in resolving.first_of_each_stream(parked):
            result = resolving.retry(one)
            self.stdout.write(resolving.describe(one, result))
            failed_again += result.parked > 0
        if failed_again:
            message = f"{failed_again} of them failed again: `manage.py deadletters list`."
            raise CommandError(message)

    def _discard(self, options: dict[str, Any]) -> None:
        parked = _one(options["id"])
        record_from_shell("discard a dead letter", f"{parked} event {parked.event_id}")
        result = resolving.discard(parked)
        self.stdout.write(f"Dead letter {options['id']} is discarded.")
        if result is not None:
            self.stdout.write(resolving.describe(parked, result))


def _one(dead_letter_id: int) -> DeadLetter:
    try:
        return DeadLetter.objects.get(id=dead_letter_id)
    except DeadLetter.DoesNotExist:
        raise CommandError(f"There is no dead letter {dead_letter_id} (any more).") from None


def _behind(parked: DeadLetter) -> int:
    if parked.stream_id is None:
        return 0
    return DeadLetter.objects.filter(
        projection=parked.projection,
        generation=parked.generation,
        stream_id=parked.stream_id,
        version__gt=parked.version,
    ).count()


def _last_line(reason: str) -> str:
    return reason.strip().splitlines()[-1][:MAX_SHOWN] if reason.strip() else ""
