"""From the log to rows: what a projection is, and what consumes for it and serves from it."""
