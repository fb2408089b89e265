"""Every error that Postlog raises on purpose.

`DomainError` is an answer to whoever asked and carries a code; all others tell a
developer or an operator what to mend.
"""


class PostlogError(Exception):
    """Base of all errors below."""


# --- answers to the sender of a command or query -----------------------------------------


class DomainError(PostlogError):
    """The domain says no. `code` is part of the API; `status` is the HTTP status it maps to."""

    status = 409

    def __init__(self, code: str, detail: str, attr: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.attr = attr  # the field of the command that is at fault, if it is one


class Invalid(DomainError):
    """A field breaks a rule of the domain."""

    status = 400


class Forbidden(DomainError):
    """The actor may not do this."""

    status = 403


class NotFound(DomainError):
    """There is no such thing."""

    status = 404


class PreconditionFailed(DomainError):
    """The sender wanted it done only to a version that the thing is no longer at."""

    status = 412


class TooLarge(DomainError):
    """The event would be larger than any bus takes."""

    status = 413


class IdempotencyKeyReused(DomainError):
    """Something else was sent under this command id before."""

    status = 422

    def __init__(self) -> None:
        super().__init__(
            "idempotency_key_reused",
            "Something else was sent with this Idempotency-Key before. Choose a new one.",
        )


class ConcurrentChange(DomainError):
    """Others changed the same stream faster than retries could settle. Send it again."""

    def __init__(self) -> None:
        super().__init__("concurrent_change", "Others changed this at the same time. Try again.")


class TooManyRequests(DomainError):
    """A person or an address asks too often. Nothing was done."""

    status = 429

    def __init__(self, detail: str, wait_s: int) -> None:
        super().__init__("throttled", detail)
        self.wait_s = wait_s


class ReadSideBehind(PostlogError):
    """A query's token was not reached in time: answer 503 and try again later."""


class NeedsNewerCode(PostlogError):
    """A stream has an event of a type or version that this process does not know: during a
    deployment, a newer one appended it. Answer 503 and try again later."""


# --- programming errors, found at import or by `manage.py check` --------------------------


class RegistrationError(PostlogError):
    """A message or handler is registered twice, or is not what a message has to be."""


class UnknownMessage(PostlogError):
    """Nothing is registered for this command, query or event type. Import the module that does."""


class WrongPayload(PostlogError):
    """An event's fields are not of the types that its class declares. Convert them in the
    decision that makes the event."""


class NoTransaction(PostlogError):
    """The event store was used outside the mediator's transaction."""


# --- the write side ------------------------------------------------------------------------


class ConcurrencyError(PostlogError):
    """Another transaction appended to the stream first. The mediator retries."""


class StreamBusy(PostlogError):
    """Too many commands wait for one stream: answer 503 and try again later."""


# --- the databases -------------------------------------------------------------------------


class ReadOnlyDatabase(PostlogError):
    """The database takes no writes now: a replica, or a primary that is being replaced."""


class Unreachable(PostlogError):
    """A lock cannot be asked for: no connection to its database. Retrying later is right."""


class Pooled(PostlogError):
    """A pooler hands sessions on after each transaction: docs/poolers.md."""


# --- the workers ---------------------------------------------------------------------------


class WorkerFailed(PostlogError):
    """A thread of a worker stopped with an error; its message says what to do."""


# --- the log and the read side ----------------------------------------------------------------


class BusError(PostlogError):
    """The bus cannot be reached or refuses. Retrying later is right."""


class HistoryMismatch(PostlogError):
    """History is missing, doubled or another than the one known. Stops loudly; never retried."""


class OffsetOutOfRange(HistoryMismatch):
    """A partition no longer (or not yet) has the offset that a checkpoint names."""

    def __init__(self, partition: int, offset: int, first: int, end: int) -> None:
        super().__init__(
            f"partition {partition}: the checkpoint is at offset {offset}, but the log's records "
            f"begin at offset {first} and end before offset {end}. Records were lost: by "
            "retention, by deletion, or with a disk. Run `manage.py rebuild --from store`."
        )
        self.partition = partition
        self.offset = offset


class LostTail(HistoryMismatch):
    """The log holds another record, or none, where one was read or acknowledged: it was put
    back to an earlier state, and maybe filled again since."""

    def __init__(
        self,
        partition: int,
        offset: int,
        known: str,
        now: str,
        who: str,
        done: str = "Nothing was done.",
    ) -> None:
        super().__init__(
            f"The log has lost its tail: at partition {partition}, offset {offset} {who} {known}, "
            f"and the log has {now} there. It was put back to an earlier copy, or a disk was lost; "
            f"what was written since may never have been seen. {done} Stop all workers, "
            "run `manage.py republish --all --accept-new-log`, then `manage.py rebuild --from "
            "store`. If the event store was put back too, that refuses, because readers have seen "
            "what is lost: then run `manage.py rebuild --from store --accept-going-back`."
        )
        self.partition = partition
        self.offset = offset


class NoKeys(HistoryMismatch):
    """Records are signed, and this process has no keys: set POSTLOG["RECORD_KEYS"] as elsewhere."""


class DecodeError(PostlogError):
    """A record cannot be decoded: no JSON, no envelope, an unknown type or broken data."""


class FencedOff(PostlogError):
    """A checkpoint is not where this consumer left it, or is gone: another consumer has advanced
    it, or a rebuild has switched. The batch must not take effect; read the checkpoints again."""


class TooManyFailures(PostlogError):
    """Most events fail to apply, or the tables are of newer code. Parking the events would hide
    that the code is at fault."""
