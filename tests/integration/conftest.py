"""The API answers by two ways (messaging/api/short_way.py), and its tests hold for both.

A test that runs on SQLite and on PostgreSQL goes the short way on one of them and the long way on
the other, by its name; so it costs no second run. A test of the API on one of them runs twice.
"""

from zlib import crc32

import pytest

from messaging.api import short_way
from web import counters

OF_BOTH = {"database", "unchanged", "mode"}
OF_THE_API = {"api_commands", "api_queries", "api_manners", "api_sign_in", "bad_input",
              "corpus_api", "correlation", "access", "conflicts"}  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    of_the_api = metafunc.module.__name__.rpartition(".test_")[2] in OF_THE_API
    if of_the_api and not OF_BOTH & set(metafunc.fixturenames):
        metafunc.parametrize("way", ["short", "long"], indirect=True)


@pytest.fixture(autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    found: str = getattr(request, "param", None) or _way_of(request.node)
    if found == "long":
        monkeypatch.setattr(short_way, "_answer", lambda _: None)
    return found


def _way_of(test: pytest.Function) -> str:
    """As in production, where a test has only one database."""
    if not OF_BOTH & set(test.fixturenames):
        return "short"
    on_postgresql = "postgresql" in test.name
    return "long" if crc32(test.originalname.encode()) % 2 == on_postgresql else "short"


@pytest.fixture
def no_window_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts would restart in the middle of a test."""
    monkeypatch.setattr(counters.Window, "now", lambda self: (1, self.seconds))
