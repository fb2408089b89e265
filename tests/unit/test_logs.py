"""What a stranger can make the log say costs a line, however often and whatever they send."""

import io
import logging
import logging.config
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client, override_settings

from tests.support.api import HTML


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the project's own handler writes."""
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    logging.config.dictConfig(settings.LOGGING)
    yield written
    monkeypatch.undo()
    logging.config.dictConfig(settings.LOGGING)


@pytest.mark.parametrize("path", ["/", "/admin/", "/api/v1/docs/", "/nowhere/", "/health"])
@pytest.mark.parametrize("host", ["evil.example", "a b\r\nX: y", "x" * 5_000, "\x1b[2J", "é"])
def test_a_refused_host_costs_one_line(log: io.StringIO, path: str, host: str) -> None:
    with override_settings(DEBUG=False, ALLOWED_HOSTS=["postlog.example"]):
        client = Client(raise_request_exception=False)
        answer = client.get(path, headers={"host": host, "accept": HTML})
    assert answer.status_code == 400
    (line,) = log.getvalue().splitlines()
    assert "django.security.DisallowedHost: Invalid HTTP_HOST header" in line
    assert line.isascii()
    assert len(line) < 400


def test_a_form_of_too_many_fields_costs_one_line(log: io.StringIO) -> None:
    fields = {str(number): 1 for number in range(2_000)}
    assert Client(raise_request_exception=False).post("/accounts/login/", fields).status_code == 400
    (line,) = log.getvalue().splitlines()
    assert "django.security.TooManyFieldsSent: " in line


@pytest.mark.parametrize("path", ["/" + "x" * 60_000, "/\n2026-11-27", "/\u00e9"])
def test_an_address_that_is_none_costs_one_line(log: io.StringIO, path: str) -> None:
    assert Client(raise_request_exception=False).get(path).status_code == 404
    (line,) = log.getvalue().splitlines()
    assert "django.request: Not Found: /" in line
    assert len(line) < 400


def test_a_body_that_cannot_be_read_costs_one_line(log: io.StringIO) -> None:
    client = Client(raise_request_exception=False)
    answer = client.post("/accounts/login/", b"--y", content_type="multipart/form-data; boundary=")
    assert answer.status_code == 400
    (line,) = log.getvalue().splitlines()
    assert "django.request: Bad request (Unable to parse request body)" in line


def test_an_error_of_the_server_keeps_its_traceback(log: io.StringIO) -> None:
    try:
        raise KeyError("broken")
    except KeyError:
        logging.getLogger("django.request").exception("Internal Server Error")
    assert "Traceback" in log.getvalue()


def test_no_line_is_written_twice(log: io.StringIO) -> None:
    """With DEBUG, Django's logger has a handler of its own beside the root's."""
    known = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    ours = [one for one in known if one.name.split(".")[0] in ("django", "postlog")]
    assert len(ours) > 2
    assert [one.name for one in ours if one.handlers and one.name != "django.server"] == []
