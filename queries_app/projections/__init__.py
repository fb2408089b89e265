"""Which events change which read models. Django imports this package at start."""

from queries_app.projections.history import history
from queries_app.projections.likes import likes
from queries_app.projections.people import people
from queries_app.projections.posts import posts
from queries_app.projections.search import search

__all__ = ["history", "likes", "people", "posts", "search"]
