"""docs/errors.md has each code that the API, the pages and files of commands answer with."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from rest_framework import exceptions, serializers

from config import codes
from messaging.api.fields import STRICT, LiteralField, MemberField
from messaging.error_codes import explained
from tests.support.corpus import cases

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text()
ANSWERING = ("messaging", "accounts", "commands_app", "queries_app", "web", "config")
# Codes of dead letters, not of answers; and the testing kit's own domain.
OTHERS = ("messaging/projections/consuming/", "messaging/monitoring/", "messaging/testing/")
# Where the code stands among the arguments.
AT = {
    **dict.fromkeys(("DomainError", "Invalid", "NotSignedIn", "Forbidden", "NotFound"), 0),
    **dict.fromkeys(("PreconditionFailed", "TooLarge", "Unavailable", "__init__"), 0),
    **dict.fromkeys(("key_errors", "ErrorDetail", "error_answer"), 1),
}
OF_REST_FRAMEWORK = [
    exceptions.AuthenticationFailed,
    exceptions.MethodNotAllowed,
    exceptions.NotAcceptable,
    exceptions.NotAuthenticated,
    exceptions.NotFound,
    exceptions.ParseError,
    exceptions.PermissionDenied,
    exceptions.Throttled,
    exceptions.UnsupportedMediaType,
]
FIELDS = [*STRICT.values(), MemberField, LiteralField, serializers.ListField, serializers.DictField]


def written(file: Path) -> Iterator[str]:
    """The codes that the source names."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            at = AT.get(name)
            named = [one.value for one in node.keywords if one.arg == "code"]
            for argument in [*node.args[at : at + 1], *named] if at is not None else named:
                if isinstance(argument, ast.Constant) and CODE.fullmatch(str(argument.value)):
                    yield str(argument.value)


CODE = re.compile("[a-z]+(_[a-z]+)*")


def of_the_source() -> set[str]:
    files = [file for name in ANSWERING for file in (ROOT / name).rglob("*.py")]
    answering = [file for file in files if not str(file.relative_to(ROOT)).startswith(OTHERS)]
    return {code for file in answering for code in written(file)}


def of_fields() -> set[str]:
    return {
        code
        for field in FIELDS
        for base in field.__mro__
        for code in getattr(base, "default_error_messages", {})
    }


def of_rest_framework() -> set[str]:
    return {str(one.default_code) for one in OF_REST_FRAMEWORK}


def documented() -> set[str]:
    cells = re.findall(r"^\| \d{3} \| (.*?) \|", PAGE, re.M)
    of_lines = PAGE.partition("and two more:")[2].partition("\n\n")[0]
    return set(re.findall("`([a-z_]+)`", " ".join([*cells, of_lines])))


def test_the_page_has_each_code_and_no_other() -> None:
    answered = of_the_source() | of_fields() | of_rest_framework()
    assert len(of_the_source()) > 30
    assert answered - documented() == set(), "write them into docs/errors.md"
    assert documented() - answered == set(), "nothing answers with these any more"


def test_the_running_site_explains_them_alike() -> None:
    rows = [
        (int(status), tuple(re.findall("`([a-z_]+)`", cell)), text)
        for status, cell, text in re.findall(r"^\| (\d{3}) \| (.*?) \| (.*?) \|$", PAGE, re.M)
    ]
    assert codes.__name__ == "config.codes"
    assert explained() == rows


def test_the_page_has_each_code_of_the_corpus_under_its_status() -> None:
    rows = {
        (status, code)
        for status, cell in re.findall(r"^\| (\d{3}) \| (.*?) \|", PAGE, re.M)
        for code in re.findall("`([a-z_]+)`", cell)
    }
    expected = set()
    for kind in ("command", "query", "header"):
        for case in cases(kind):
            status, _, errors = case.expected.partition(" ")
            codes = [one.split()[0] for one in errors.split(",") if one.strip()]
            expected |= {(status, code) for code in codes if CODE.fullmatch(code)}
    assert len(expected) > 25
    assert expected <= rows
