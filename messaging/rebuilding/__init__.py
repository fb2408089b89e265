"""A new generation beside the live one, from the log or from the store, and the switch to it."""
