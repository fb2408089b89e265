"""For bad nights: restore the store, publish again, verify, read streams from the log alone."""
