"""From which figures on something needs a look, stated once. The console colours by them.

Amber: it passes by itself, or can wait until the morning; readers are late, or a few streams stand
still. Red: readers see nothing new or writers are refused; somebody has to act now.
"""

from messaging import conf

WELL, AMBER, RED = "", "warm", "bad"  # the classes of admin.css

# Seconds. A change of the leading relay takes some ten seconds, and nobody has to do anything.
OUTBOX_AMBER_S, OUTBOX_RED_S = 10, 60
# A consumer confirms every 5 s what is level; one that has not for twice as long is late. Red is
# a stall (projections/consuming/stalls.py).
PARTITION_AMBER_S = 10
# An older snapshot of PostgreSQL keeps so many dead rows of the outbox that the relay slows down.
SNAPSHOT_AMBER_S = 60
# Of POSTLOG["MAX_LAG"], above which /health/ready says 503.
LAG_AMBER = 0.1

# Answers 5xx a minute. A deployment or a lost race makes some.
FAILED_AMBER = 10


def of_outbox(oldest_s: float | None) -> str:
    """By the age in seconds of the oldest event that waits; None: none does."""
    return _level(oldest_s or 0, OUTBOX_AMBER_S, OUTBOX_RED_S)


def of_lag(records: int) -> str:
    """Of a projection."""
    limit = conf.postlog().max_lag
    return _level(records, LAG_AMBER * limit, limit)


def of_partition(records: int, unmoved_s: float | None, *, stands: bool) -> str:
    """By what a consumer lacks, when it took the last record, and whether it is halted or stalled.
    None: no consumer has ever begun."""
    if stands:
        return RED
    late = records > 0 and (unmoved_s is None or unmoved_s > PARTITION_AMBER_S)
    return AMBER if late else of_lag(records)


def _level(figure: float, amber: float, red: float) -> str:
    if figure > red:
        return RED
    return AMBER if figure > amber else WELL
