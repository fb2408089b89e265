"""What `check --deploy` asks of a production set-up, as far as limits go."""

import pytest

from tests.support.processes import manage

PRODUCTION = {"DEBUG": "off", "SECRET_KEY": "k" * 50, "ALLOWED_HOSTS": "postlog.example"}
BOTH = {"TRUSTED_PROXIES": "1", "CACHE_URL": "redis://127.0.0.1:1/0"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, {"postlog.W020", "postlog.W021"}),
        ({"TRUSTED_PROXIES": "1", "WEB_WORKERS": "1"}, set()),
        (BOTH, set()),
    ],
    ids=["nothing", "one process", "both"],
)
def test_limits_hold_for_all_web_processes_and_for_each_address(
    given: dict[str, str], said: set[str]
) -> None:
    done = manage({**PRODUCTION, **given}, "check", "--deploy")
    ids = {"postlog.W020", "postlog.W021"}
    assert {one for one in ids if f"({one})" in done.stderr} == said
    if said:
        assert "Set CACHE_URL" in done.stderr
        assert "Set TRUSTED_PROXIES" in done.stderr
