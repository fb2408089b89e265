"""What the type checker promises. mypy reads these modules (`make check`), and nothing runs them:
an error that it no longer finds makes its `type: ignore` an error of its own."""
