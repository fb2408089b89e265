"""What the tests of one server share."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.modes import fresh_mode
from tests.support.procfile import ProcfileWeb


@pytest.fixture(scope="module")
def site(django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcfileWeb]:
    """The web server as the Procfile starts it, for all tests of a module."""
    folder = tmp_path_factory.mktemp("attacked")
    fresh = fresh_mode("sqlite", "embedded", folder)
    with django_db_blocker.unblock(), fresh as mode, ProcfileWeb(mode.env) as web:
        yield web
