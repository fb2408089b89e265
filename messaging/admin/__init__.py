"""The operator's console in Django's admin. Django imports this package."""

from messaging.admin import deadletters, readside, rebuilds, store

__all__ = ["deadletters", "readside", "rebuilds", "store"]
