"""The lines that fail2ban reads: nobody can forge one, and the documented filter finds them."""

import logging
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import RequestFactory

from accounts import security_log

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
# What fail2ban puts in the place of <ADDR>, near enough.
ADDRESS = r"(?P<address>[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f:]{3,})"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """As they stand in the file, without their time: fail2ban takes it away first."""
    style = settings.LOGGING["formatters"]["line"]
    formatter = logging.Formatter(style["format"], style=style["style"])
    texts = [formatter.format(record) for record in caplog.records]
    return [re.sub(r"^[0-9-]{10} [0-9:]{8},[0-9]{3}", "", text) for text in texts]


def found_by_the_filter(line: str) -> str | None:
    [pattern] = re.findall(r"^    failregex = (.*)$", PAGE, re.M)
    found = re.search(pattern.replace("<ADDR>", ADDRESS), line)
    return found["address"] if found else None


@pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8::1"])
@pytest.mark.parametrize(
    "event",
    ["sign-in refused", "sign-in must wait", "password change refused", "sign-up must wait"],
)
def test_the_documented_filter_finds_each_event(
    event: str, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    security_log.record(
        event, RequestFactory(REMOTE_ADDR=address).get("/"), name="alice", seconds=7
    )
    [line] = lines(caplog)
    assert line.endswith(f'postlog.security: {event}: address={address} name="alice" seconds=7')
    assert found_by_the_filter(line) == address
    assert f"`{event}`" in PAGE


@pytest.mark.parametrize(
    "name",
    [
        "x\n2026-11-27 19:34:06,123 WARNING postlog.security: sign-in refused: address=1.2.3.4",
        "x\r\u2028\x85 WARNING postlog.security: sign-in refused: address=198.51.100.1",
        '" address=198.51.100.1 "',
        "\\",
        "\ud800\0\x1b[2J",
        "x" * 10_000,
    ],
)
def test_a_name_forges_no_line_and_no_field(name: str, caplog: pytest.LogCaptureFixture) -> None:
    request = RequestFactory(REMOTE_ADDR="203.0.113.9").get("/")
    security_log.record("sign-in refused", request, name=name)
    [line] = lines(caplog)
    assert len(line.splitlines()) == 1
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 1_200
    assert found_by_the_filter(line) == "203.0.113.9"
    assert re.fullmatch(r'.*: address=203\.0\.113\.9 name="(?:[^"\\]|\\.)*"', line)


def test_other_lines_are_not_found(caplog: pytest.LogCaptureFixture) -> None:
    path = "/x WARNING postlog.security: sign-in refused: address=198.51.100.1"
    logging.getLogger("django.request").warning("Not Found: %s", path)
    [line] = lines(caplog)
    assert found_by_the_filter(line) is None
