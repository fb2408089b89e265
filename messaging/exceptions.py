"""The errors that parts of Postlog share; an error of one module alone stands in that module.

A `DomainError` answers the sender of a command or query, and carries a code. The others tell a
developer or an operator what is wrong and what to do.
"""


class PostlogError(Exception):
    """The base of all errors of Postlog."""


# --- answers to the sender of a command or query -----------------------------------------


class DomainError(PostlogError):
    """The domain refuses. `code` is part of the API, `status` the HTTP status of the answer.

    A receipt stores the refusal: a new class here has its code in eventstore/receipts.py.
    """

    status = 409

    def __init__(self, code: str, detail: str, attr: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.attr = attr  # the field of the command that is wrong, if one is


class Invalid(DomainError):
    """A field breaks a rule of the domain."""

    status = 400


class AlreadyReserved(DomainError):
    """Something else has the value, whose kind stands in the code: `username_taken`. Catch it where
    the domain has other words for that."""


class NotSignedIn(DomainError):
    """Only somebody who is signed in may do this."""

    status = 401

    def __init__(
        self,
        code: str = "not_authenticated",
        detail: str = "Sign in to do this.",
        attr: str | None = None,
    ) -> None:
        super().__init__(code, detail, attr)


class Forbidden(DomainError):
    """The actor may not do this."""

    status = 403


class NotFound(DomainError):
    """There is no such thing."""

    status = 404


class PreconditionFailed(DomainError):
    """What the sender set as a condition, such as the version, is no longer so."""

    status = 412


class TooLarge(DomainError):
    """The event would be larger than any bus accepts."""

    status = 413


class IdempotencyKeyReused(DomainError):
    """Another command was sent under this command id before."""

    status = 422

    def __init__(self) -> None:
        super().__init__(
            "idempotency_key_reused",
            "Something else was sent with this Idempotency-Key before. Choose a new one.",
        )


class ConcurrentChange(DomainError):
    """Others kept changing the same stream while the command was retried. Send it again."""

    def __init__(self) -> None:
        super().__init__("concurrent_change", "Others changed this at the same time. Try again.")


class TooManyRequests(DomainError):
    """A person or an address sends too many requests. Nothing was done."""

    status = 429

    def __init__(self, detail: str, wait_s: int) -> None:
        super().__init__("throttled", detail)
        self.wait_s = wait_s


class ReadSideBehind(PostlogError):
    """The read side did not reach a query's token in time: answer 503, to try again later."""


class NeedsNewerCode(PostlogError):
    """A stream has an event of a type or version that this process does not know.

    During a deployment, a newer process appended it: answer 503, to try again later.
    """


# --- programming errors, found at import or by `manage.py check` --------------------------


class RegistrationError(PostlogError):
    """A message or handler is registered twice, or a message is not such a dataclass as it must
    be."""


class UnknownMessage(PostlogError):
    """Nothing is registered for a command, query or event type. Import the module that does it."""


class WrongPayload(PostlogError):
    """An event's fields do not have the types that its class declares.

    Convert them in the decision that makes the event.
    """


class WithinTransaction(PostlogError):
    """A command was sent within a transaction. It has one of its own, so that it is stored when
    `send` returns."""

    def __init__(self, alias: str) -> None:
        super().__init__(
            f"A command was sent within a transaction of database {alias!r}. It has one of its "
            "own, so that it is stored when `send` returns. Decorate a view under ATOMIC_REQUESTS "
            f"with @transaction.non_atomic_requests(using={alias!r}); elsewhere send it before or "
            "after transaction.atomic(), or by transaction.on_commit(). A handler sends no "
            "commands: it calls the other's functions."
        )


class NoTransaction(PostlogError):
    """The event store was used outside a unit of work. Send a command through the mediator."""


# --- the write side ------------------------------------------------------------------------


class ConcurrencyError(PostlogError):
    """Another transaction appended to the stream first. The mediator retries."""


class NotTogether(PostlogError):
    """Several commands cannot be carried out in one transaction. Send them one by one."""


class StreamBusy(PostlogError):
    """Too many commands wait for one stream: answer 503, to try again later."""


# --- the databases -------------------------------------------------------------------------


class ReadOnlyDatabase(PostlogError):
    """The database accepts no writes: it is a replica, or a primary that is being replaced."""


class Unreachable(PostlogError):
    """The database that has a lock cannot be reached. Retry later."""


class Pooled(PostlogError):
    """A pooler hands sessions on after each transaction: docs/poolers.md."""


# --- the workers ---------------------------------------------------------------------------


class WorkerFailed(PostlogError):
    """A thread of a worker stopped with an error; its message says what to do."""


# --- the log and the read side ----------------------------------------------------------------


class BusError(PostlogError):
    """The bus cannot be reached, or refuses. Retry later."""


class HistoryMismatch(PostlogError):
    """History is missing, doubled, or not the history known here.

    A worker stops with this error and never retries it: its message says what to run.
    """


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
    """The log has another record, or none, where one was read or acknowledged.

    The log was put back to an earlier state, and maybe filled again since.
    """

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
    """A record cannot be decoded: it is no JSON, has no envelope, or its data are broken.

    `fault` says what is wrong; the message also has the cure for an event that is stored.
    """

    def __init__(self, fault: str, cure: str = "") -> None:
        super().__init__(f"{fault}. {cure}" if cure else fault)
        self.fault = fault


class FencedOff(PostlogError):
    """A checkpoint is gone, or not where this consumer left it.

    Another consumer has advanced it, or a rebuild has switched. Roll the batch back, and read the
    checkpoints again.
    """


class TooManyFailures(PostlogError):
    """Most events fail to apply, or the tables belong to newer code.

    The code is at fault, which parking the events would hide: the worker stops.
    """
