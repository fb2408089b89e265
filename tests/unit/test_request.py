"""What a Content-Type or a form says changes neither the charset nor the price of a request."""

from io import BytesIO

import pytest
from django.core.exceptions import BadRequest
from django.test import RequestFactory

from web.request import FORM, Request


def request(content_type: str, body: bytes = b"", query: str = "") -> Request:
    environ = RequestFactory().post("/").environ | {
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(body)),
        "QUERY_STRING": query,
        "wsgi.input": BytesIO(body),
    }
    return Request(environ)


@pytest.mark.parametrize(
    "charset", ["base64", "undefined", "idna", "utf-7", "unicode_escape", "utf-16", "latin-1", "x"]
)
def test_text_is_utf_8_whatever_is_said(charset: str) -> None:
    asked = request(f"{FORM}; charset={charset}", b"a=%C3%A9", "a=%C3%A9%5Cud800")
    assert (asked.GET["a"], asked.POST["a"]) == ("\u00e9\\ud800", "\u00e9")
    assert asked.content_params["charset"] == charset, "the API refuses it"


@pytest.mark.parametrize("parameter", ["x*=none''%80", "charset*=none''x"])
def test_a_content_type_that_cannot_be_read_is_none(parameter: str) -> None:
    asked = request(f"{FORM}; {parameter}", b"a=b")
    assert (asked.content_type, dict(asked.POST)) == ("", {})
    assert asked.META["CONTENT_TYPE"] == "", "for whoever reads it again"


@pytest.mark.parametrize("form", [b"a=%", b"a=%4", b"a=%zz", b"%=a", b"a=%%41", b"a=%4g"])
def test_a_form_with_a_broken_escape_is_refused(form: bytes) -> None:
    asked = request(FORM, form)
    with pytest.raises(BadRequest):
        _ = asked.POST
    assert dict(asked.POST) == {}, "the page that says so may ask again"


def test_a_form_with_escapes_is_read() -> None:
    assert dict(request(FORM, b"a=%25%c3%A9+b&c=").POST) == {"a": ["%\u00e9 b"], "c": [""]}
