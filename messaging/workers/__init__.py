"""Threads that stop together, locks that one process holds, heartbeats."""
