"""What is not public is unknown to a type checker too."""

from messaging import handles, no_such_name  # type: ignore[attr-defined]

used = (handles, no_such_name)
