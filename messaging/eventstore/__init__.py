"""Streams, events, snapshots and receipts, appended in one transaction. Knows no bus."""
