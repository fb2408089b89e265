"""`manage.py deadletters list|show|retry|discard`"""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from messaging.management.base import DatabaseCommand
from messaging.monitoring.audit import record_from_shell
from messaging.monitoring.pretty_json import readable
from messaging.projections.consuming import retry
from messaging.projections.consuming.dead_letters import is_head
from messaging.projections.models import DeadLetter
from messaging.projections.registry import PROJECTIONS

MAX_LISTED = 100


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
        again = actions.add_parser("retry", help="Apply the streams of these letters, in order.")
        again.add_argument("id", type=int, nargs="*")
        again.add_argument("--all", action="store_true", help="Of every letter there is.")
        again.add_argument("--projection", choices=sorted(PROJECTIONS), help="With --all.")
        discard = actions.add_parser(
            "discard", help="Give one event up for good: its stream goes on without it."
        )
        discard.add_argument("id", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['action']}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        letters = retry.in_order(options["projection"])
        # What only waits is counted with what it waits for.
        heads = letters.filter(is_head()).order_by("id")
        for letter in heads[: options["limit"]]:
            stream = f"{letter.stream_id} v{letter.version}" if letter.stream_id else "no stream"
            self.stdout.write(
                f"{letter.id}  {letter.parked_at:%Y-%m-%d %H:%M:%S}  {letter.projection}  "
                f"{letter.code}  {stream}  (+{_behind(letter)} behind)  {_last_line(letter.reason)}"
            )
        count = heads.count()
        more = f", {options['limit']} of them shown" if count > options["limit"] else ""
        self.stdout.write(f"{count:,} dead letters{more}, {letters.count():,} with those behind.")

    def _show(self, options: dict[str, Any]) -> None:
        letter = _one(options["id"])
        for name in ("id", "projection", "generation", "code", "stream_id", "version", "event_id",
                     "partition", "offset", "parked_at"):  # fmt: skip
            self.stdout.write(f"{name:<11} {getattr(letter, name)}")
        self.stdout.write(f"{'behind it':<11} {_behind(letter)}")
        self.stdout.write(f"{'key':<11} {readable(letter.key)}")
        self.stdout.write(f"\n{letter.reason.rstrip()}\n\n{readable(letter.value)}")

    def _retry(self, options: dict[str, Any]) -> None:
        if bool(options["id"]) == options["all"]:
            raise CommandError("Name letters by their ids, or say --all.", returncode=2)
        record_from_shell("retry dead letters", "all" if options["all"] else str(options["id"]))
        letters = (
            retry.in_order(options["projection"]) if options["all"] else map(_one, options["id"])
        )
        failed_again = 0
        for letter in retry.first_of_each_stream(letters):
            retried = retry.retry(letter)
            self.stdout.write(retry.describe(letter, retried))
            failed_again += retried.parked > 0
        if failed_again:
            message = f"{failed_again} of them failed again: `manage.py deadletters list`."
            raise CommandError(message)

    def _discard(self, options: dict[str, Any]) -> None:
        letter = _one(options["id"])
        record_from_shell("discard a dead letter", f"{letter} event {letter.event_id}")
        retried = retry.discard(letter)
        self.stdout.write(f"Dead letter {letter.id} is discarded.")
        if retried is not None:
            self.stdout.write(retry.describe(letter, retried))


def _one(letter_id: int) -> DeadLetter:
    try:
        return DeadLetter.objects.get(id=letter_id)
    except DeadLetter.DoesNotExist:
        raise CommandError(f"There is no dead letter {letter_id} (any more).") from None


def _behind(letter: DeadLetter) -> int:
    if letter.stream_id is None:
        return 0
    return DeadLetter.objects.filter(
        projection=letter.projection,
        generation=letter.generation,
        stream_id=letter.stream_id,
        version__gt=letter.version,
    ).count()


def _last_line(reason: str) -> str:
    return reason.strip().splitlines()[-1][:200] if reason.strip() else ""
