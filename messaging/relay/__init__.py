"""From the outbox to the log, and whether the log is the one this store belongs to."""
