"""A batch of records becomes rows, with its checkpoint, or nothing does."""
