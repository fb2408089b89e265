"""Streams, events, snapshots, receipts: what is appended, in one transaction. Knows no bus."""
