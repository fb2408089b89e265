"""What each code of an error means, and what to do: as the API's page of them shows it.

docs/errors.md has the same tables.
"""

from typing import NamedTuple


class Explained(NamedTuple):
    """Codes of one status that have one explanation."""

    status: int
    codes: tuple[str, ...]
    text: str  # code and headers in `backticks`


_explained: list[Explained] = []
_own = 0  # how many of them are of every project


def explain_codes(status: int, *codes: str, text: str) -> None:
    """Explain codes with which your domain refuses, for the page of error codes (`errors/` below
    the API) and the OpenAPI document. A code may have several statuses: explain it for each."""
    _explained.append(Explained(status, codes, text))


def codes_of_every_project(status: int) -> list[str]:
    """The codes that the library itself answers with."""
    return [code for one in _explained[:_own] if one.status == status for code in one.codes]


def explained() -> list[Explained]:
    """All of them: the library's own first."""
    return list(_explained)


explain_codes(
    400,
    "parse_error",
    text="the body is no JSON in UTF-8, no JSON object, has a key twice, a number that is not "
    "finite, or is nested too deeply; or the query string is not UTF-8",
)
explain_codes(
    400,
    "unknown_field",
    "repeated_field",
    text="there is no such field or parameter; it was sent more than once",
)
explain_codes(
    400,
    "required",
    "null",
    text="the field is missing; it may not be `null`",
)
explain_codes(
    400,
    "invalid",
    text="the value does not have the type: only a JSON string is a text, an id or a date, only "
    "a JSON integer is an integer",
)
explain_codes(
    400,
    "blank",
    "min_length",
    "max_length",
    "null_characters_not_allowed",
    "surrogate_characters_not_allowed",
    text="the text is empty, too short, too long, or holds characters that no database takes",
)
explain_codes(
    400,
    "min_value",
    "max_value",
    "overflow",
    text="the number, date or duration is too small or too large",
)
explain_codes(
    400,
    "max_digits",
    "max_decimal_places",
    "max_whole_digits",
    "max_string_length",
    text="the decimal or number has too many digits",
)
explain_codes(
    400,
    "invalid_choice",
    text="the value is none of those that there are",
)
explain_codes(
    400,
    "date",
    "datetime",
    "make_aware",
    text="a date where a time belongs, the reverse, or a time that the time zone skips",
)
explain_codes(
    400,
    "not_a_list",
    "not_a_dict",
    "empty",
    text="the value is no list, no object; the list is empty",
)
explain_codes(
    400,
    "invalid_key",
    text="what names a thing is empty, too long, or holds characters that nobody sees",
)
explain_codes(
    400,
    "invalid_cursor",
    text="follow `next` and `previous`; a cursor is not made by hand",
)
explain_codes(
    400,
    "invalid_token",
    text="the consistency token was not made here",
)
explain_codes(
    400,
    "invalid_actor",
    text="the account's name cannot be that of an actor",
)
explain_codes(
    400,
    "invalid_request",
    text="the request cannot be read: its body is broken off, or a header says what cannot be",
)
explain_codes(
    401,
    "not_authenticated",
    text="sign in, or send credentials",
)
explain_codes(
    401,
    "authentication_failed",
    text="the credentials are wrong, or have expired",
)
explain_codes(
    403,
    "permission_denied",
    text="you may not do this; the detail says who may",
)
explain_codes(
    403,
    "reserved_name",
    text="the account is called `-`, which stands for nobody",
)
explain_codes(
    404,
    "not_found",
    text="nothing is at this address",
)
explain_codes(
    405,
    "method_not_allowed",
    text="a command takes POST, a query GET",
)
explain_codes(
    406,
    "not_acceptable",
    text="answers are `application/json`",
)
explain_codes(
    408,
    "request_timeout",
    text="the body did not arrive in time: send it again",
)
explain_codes(
    409,
    "id_taken",
    text="the id that you chose belongs to something else: choose another one",
)
explain_codes(
    409,
    "concurrent_change",
    text="others changed the same thing while the command was tried eight times: send it again",
)
explain_codes(
    412,
    "precondition_failed",
    text="the thing is at another version than `If-Match` names: look at it, and decide again",
)
explain_codes(
    413,
    "too_large",
    text="the body, or the event that it makes, is larger than is taken",
)
explain_codes(
    415,
    "unsupported_media_type",
    text="send `application/json`, or `application/x-www-form-urlencoded`",
)
explain_codes(
    422,
    "idempotency_key_reused",
    text="another body was sent with this `Idempotency-Key`: choose a new key",
)
explain_codes(
    429,
    "throttled",
    text="too many requests: wait for the seconds of `Retry-After`",
)
explain_codes(
    500,
    "error",
    text="a fault of the server, which was logged",
)
explain_codes(
    503,
    "read_side_behind",
    text="the answer does not show yet what the token asks for: send it again",
)
explain_codes(
    503,
    "needs_newer_code",
    text="a deployment is under way: send it again",
)
explain_codes(
    503,
    "unavailable",
    text="a server does not answer, or too many wait for one thing: send it again after the "
    "seconds of `Retry-After`",
)
_own = len(_explained)
