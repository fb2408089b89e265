"""Bad input, the same on both databases: 4xx in the error form, nothing stored, never a 5xx.

Each row is sent twice: for JSON, and as a browser, whose answer is a page with the form.
"""

import json
from typing import Any, NamedTuple

import pytest

from messaging.eventstore.models import Event
from tests.support.api import COMMANDS, FORM, HTML, Api, errors
from tests.support.modes import Mode

JSON = "application/json"
LIMIT = 1024 * 1024


class Bad(NamedTuple):
    body: str | bytes
    status: int = 400
    error: tuple[str, str | None] = ("parse_error", None)
    content_type: str = JSON


def message(value: Any, code: str = "invalid") -> Bad:
    return Bad(json.dumps({"message": value}), error=(code, "message"))


def post_id(value: Any) -> Bad:
    return Bad(json.dumps({"message": "a", "post_id": value}), error=("invalid", "post_id"))


def unknown(key: str, shown: str) -> Bad:
    return Bad(json.dumps({"message": "a", key: 1}), error=("unknown_field", shown))


def form(body: str | bytes, code: str, attr: str | None = None, status: int = 400) -> Bad:
    return Bad(body, status, (code, attr), FORM)


def of_type(content_type: str) -> Bad:
    return Bad('{"message": "a"}', 415, ("unsupported_media_type", None), content_type)


BAD = {
    # not the JSON that it has to be
    "an empty body": Bad("", error=("required", "message")),
    "no JSON": Bad("message"),
    "cut short": Bad('{"message": '),
    "a list": Bad("[]"),
    "null": Bad("null"),
    "a string": Bad('"message"'),
    "a key twice": Bad('{"message": "a", "message": "b"}'),
    "NaN": Bad('{"message": NaN}'),
    "1e400": Bad('{"message": 1e400}'),
    "infinity in an unknown field": Bad('{"message": "a", "x": -Infinity}'),
    "a number of 5,000 digits": Bad('{"message": ' + "9" * 5_000 + "}"),
    "lists 10,000 deep": Bad('{"message": ' + "[" * 10_000 + "]" * 10_000 + "}"),
    "objects 10,000 deep": Bad('{"message":' * 10_000 + "1" + "}" * 10_000),
    "a byte order mark": Bad("\ufeff" + '{"message": "a"}'),
    "broken UTF-8": Bad(b'{"message": "\xff"}'),
    "a surrogate in UTF-8": Bad(b'{"message": "\xed\xa0\x80"}'),
    "UTF-16": Bad('{"message": "a"}'.encode("utf-16"), content_type=f"{JSON}; charset=utf-16"),
    "UTF-8 said to be Latin-1": Bad('{"message": "a"}', content_type=f"{JSON}; charset=latin-1"),
    "a charset that is a codec": Bad('{"message": "a"}', content_type=f"{JSON}; charset=zip"),
    "a byte too many": Bad(b" " * (LIMIT + 1), 413, ("too_large", None)),
    "20 MB": Bad(b"x" * 20_000_000, 413, ("too_large", None)),
    # not of the type that it has to be
    "plain text": of_type("text/plain"),
    "XML": of_type("application/xml"),
    "no content type": of_type(""),
    "nonsense as content type": of_type(";;"),
    "a form with files": of_type("multipart/form-data; boundary=x"),
    # not the values that they have to be
    "no message": Bad("{}", error=("required", "message")),
    "a number as message": message(12345),
    "null as message": message(None, "null"),
    "true as message": message(True),
    "a list as message": message(["a"]),
    "an object as message": message({"a": "b"}),
    "an empty message": message("", "blank"),
    "a message of white space": message(" \t\n\u00a0\u3000", "blank"),
    "an invisible message": message("\u200b\u2060\u202e", "blank"),
    "a message one too long": message("x" * 10_001, "max_length"),
    "NUL in the message": message("a\0b", "null_characters_not_allowed"),
    "a lone surrogate in the message": message("a\ud800b", "surrogate_characters_not_allowed"),
    "a lone surrogate in a list": message(["\udfff"]),
    "a number as id": post_id(5),
    "a large number as id": post_id(2**127),
    "true as id": post_id(True),
    "an empty id": post_id(""),
    "an id without hyphens": post_id("a" * 32),
    "an id as URN": post_id("urn:uuid:00000000-0000-4000-8000-000000000000"),
    "an id in braces": post_id("{00000000-0000-4000-8000-000000000000}"),
    "an id with a line end": post_id("00000000-0000-4000-8000-000000000000\n"),
    "an id in other digits": post_id("\u0660" * 8 + "-0000-4000-8000-000000000000"),
    "NUL in the id": post_id("00000000-0000-4000-8000-00000000000\0"),
    "a lone surrogate in the id": post_id("\ud800" * 36),
    # what the command does not have
    "an unknown field": unknown("actor", "actor"),
    "an empty key": unknown("", ""),
    "NUL as key": unknown("\0", r"\x00"),
    "a lone surrogate as key": unknown("\ud800", r"\ud800"),
    "a long key": unknown("k" * 5_000, "k" * 50),
    "a form's token in JSON": unknown("csrfmiddlewaretoken", "csrfmiddlewaretoken"),
    "20,000 unknown fields": Bad(
        json.dumps({str(number): 1 for number in range(20_000)}), error=("unknown_field", "0")
    ),
    # forms: the same rules
    "an empty form": form("", "required", "message"),
    "a form without message": form("post_id=", "required", "message"),
    "a form with an empty message": form("message=", "blank", "message"),
    "a form with a message of white space": form("message=+%0D%0A", "blank", "message"),
    "a form with NUL": form("message=%00a", "null_characters_not_allowed", "message"),
    "a form with a bad id": form("message=a&post_id=5", "invalid", "post_id"),
    "a form with a field twice": form("message=a&message=b", "repeated_field", "message"),
    "a form with an unknown field": form("message=a&actor=bob", "unknown_field", "actor"),
    "a form in broken UTF-8": form("message=%ff", "parse_error"),
    "a form in raw broken UTF-8": form(b"message=\xff", "parse_error"),
    "a form with a surrogate": form("message=%ED%A0%80", "parse_error"),
    "a form of 3,000 fields": form(
        "&".join(f"f{number}=1" for number in range(3_000)), "invalid_request"
    ),
    "a form too large": form(b"message=" + b"x" * LIMIT, "too_large", status=413),
    "a form in UTF-16": Bad("message=a", content_type=f"{FORM}; charset=utf-16"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_and_nothing_is_stored(unchanged: Mode, bad: Bad) -> None:
    alice, path = Api("alice"), f"{COMMANDS}/new-post/"
    answer = alice.post(path, bad.body, bad.content_type)
    page = alice.post(path, bad.body, bad.content_type, accept=HTML)
    assert (answer.status_code, errors(answer)[0]) == (bad.status, bad.error)
    assert len(answer.content) < 5_000
    assert (page.status_code, page.headers["Content-Type"]) == (
        bad.status,
        "text/html; charset=utf-8",
    )
    assert Event.objects.count() == 0


@pytest.mark.parametrize("command", ["edit-message", "like-post", "add-comment", "edit-comment"])
@pytest.mark.parametrize("body", ["", "{}", '{"post_id": null}', '{"post_id": 5}', '{"post": "x"}'])
def test_a_command_without_the_ids_that_it_needs_is_400(
    sqlite: Mode, command: str, body: str
) -> None:
    answer = Api("alice").post(f"{COMMANDS}/{command}/", body)
    assert answer.status_code == 400
    assert errors(answer)


@pytest.mark.parametrize(
    "accept", ["application/xml", "garbage", "*/", "", "\xff", "text/html;q=x", ","]
)
def test_no_accept_header_makes_the_server_fail(sqlite: Mode, accept: str) -> None:
    answer = Api("alice").post(f"{COMMANDS}/new-post/", "{", accept=accept)
    assert 400 <= answer.status_code < 500
