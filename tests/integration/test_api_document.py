"""The OpenAPI document, unknown addresses, health."""

import subprocess
import sys
from collections.abc import Iterator
from inspect import getdoc
from typing import Any

import pytest
import yaml
from django.db import connections
from django.test import Client, override_settings
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator

from messaging.api import docs
from messaging.bus import current_bus
from messaging.message import COMMANDS, QUERIES, utc_now
from messaging.workers.models import Heartbeat
from tests.support.api import HTML, Api, errors
from tests.support.modes import Mode, use
from tests.support.processes import ROOT, environment
from tests.support.readiness import ready

# Media type that is asked for -> content type of the answer
DOCUMENTS = {
    "*/*": "application/vnd.oai.openapi; charset=utf-8",
    "application/vnd.oai.openapi": "application/vnd.oai.openapi; charset=utf-8",
    "application/yaml": "application/yaml; charset=utf-8",
    "application/vnd.oai.openapi+json": "application/vnd.oai.openapi+json",
    "application/json": "application/json",
    "application/json; indent=2": "application/json",
}
OTHERS = {"CreateToken", "RestoreReadDb", "FindRebuild"}


@pytest.fixture(scope="module")
def document() -> Any:
    GENERATOR_STATS.reset()
    return SchemaGenerator().get_schema(request=None, public=True)


def operations(document: Any) -> dict[str, Any]:
    return {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for operation in path.values()
    }


def test_the_document_is_valid_and_names_every_command_and_query(document: Any) -> None:
    validate_schema(document)
    assert not GENERATOR_STATS
    assert document["openapi"] == "3.1.0"
    assert set(operations(document)) == {*COMMANDS, *QUERIES, *OTHERS}


def test_no_parameter_takes_much_of_the_document(document: Any) -> None:
    for name, operation in operations(document).items():
        for parameter in operation.get("parameters", ()):
            assert len(str(parameter)) < 1_000, f"{name}: {parameter['name']}"


def test_an_operation_is_described_by_the_docstring_of_its_message(document: Any) -> None:
    for name, message in {**COMMANDS, **QUERIES}.items():
        description, _, who = operations(document)[name]["description"].rpartition("\n\n")
        assert description == getdoc(message)
        assert who.startswith("Who may: ")


def test_every_error_answer_is_the_one_error_component(document: Any) -> None:
    for operation in operations(document).values():
        answers = {int(status): answer for status, answer in operation["responses"].items()}
        failures = {status: answer for status, answer in answers.items() if status >= 400}
        assert {401, 405, 503} <= set(failures)
        for answer in failures.values():
            schema = answer["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}
    assert [name for name in document["components"]["schemas"] if "Error" in name] == [
        "Error",
        "ErrorAnswer",
    ]


def test_a_command_says_what_it_takes_and_what_it_answers(document: Any) -> None:
    schemas = document["components"]["schemas"]
    assert set(schemas["AddComment"]["properties"]) == {"post_id", "text", "comment_id"}
    assert schemas["AddComment"]["required"] == ["post_id", "text"]
    assert set(schemas["AddCommentAnswer"]["required"]) == {
        "post_id",
        "comment_id",
        "version",
        "consistency_token",
    }
    assert "comment_id" not in schemas["LikePostAnswer"]["properties"]


def test_every_example_fits_its_schema(document: Any) -> None:
    components = {"components": document["components"]}
    seen = 0
    for operation in operations(document).values():
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (body.get("content", {}) for body in bodies):
            for media in content.values():
                for example in media.get("examples", {}).values():
                    checked = Draft202012Validator({**media["schema"], **components})
                    assert list(checked.iter_errors(example["value"])) == []
                    seen += 1
    assert seen >= 3 * len(COMMANDS) + len(QUERIES)


def test_a_query_says_its_parameters_with_their_limits(document: Any) -> None:
    parameters = {p["name"]: p for p in operations(document)["FindPostsByAuthor"]["parameters"]}
    assert set(parameters) == {
        "author",
        "cursor",
        "page_size",
        "consistency_token",
        "Consistency-Token",
        "If-None-Match",
    }
    assert parameters["author"]["required"] is True
    size = parameters["page_size"]["schema"]
    assert (size["minimum"], size["maximum"], size["default"]) == (1, 100, 20)


def test_the_document_is_served(sqlite: Mode) -> None:
    answer = Client().get("/api/v1/schema/", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["info"]["title"]) == (200, "Postlog")


FIRST = """
import threading, django
django.setup()
from django.test import Client
together, found = threading.Barrier(8), []
def ask():
    client = Client(raise_request_exception=False)
    together.wait()
    found.append(client.get("/api/v1/schema/").status_code)
threads = [threading.Thread(target=ask) for _ in range(8)]
for one in threads: one.start()
for one in threads: one.join()
print(found)
"""


def test_the_first_requests_of_a_process_are_answered_though_they_come_at_once(
    sqlite: Mode,
) -> None:
    env = {**environment(sqlite.env), "DJANGO_SETTINGS_MODULE": "config.settings",
           "ALLOWED_HOSTS": "testserver"}  # fmt: skip
    command = [sys.executable, "-c", FIRST]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str([200] * 8), done.stderr


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[None]]:
    """One entry for each time that the document is made."""
    count: list[None] = []
    make = SchemaGenerator.get_schema

    def counted(self: Any, request: Any = None, public: bool = False) -> Any:
        count.append(None)
        return make(self, request, public)

    monkeypatch.setattr(SchemaGenerator, "get_schema", counted)
    docs._document.cache_clear()
    docs._rendered.cache_clear()
    yield count
    docs._document.cache_clear()
    docs._rendered.cache_clear()


def test_the_document_is_made_once_whatever_is_asked_for(
    sqlite: Mode, made: list[None], document: Any
) -> None:
    expected: dict[str, set[bytes]] = {}
    for accept, content_type in DOCUMENTS.items():
        for who in (None, "alice"):
            api = Api(who)
            for query in ("", "?version=2", "?lang=de"):
                headers = {**api.headers, "Accept": accept}
                answer = api.client.get(f"/api/v1/schema/{query}", headers=headers)
                assert (answer.status_code, answer["Content-Type"]) == (200, content_type)
                expected.setdefault(accept, set()).add(answer.content)
    assert len(made) == 1
    for bodies in expected.values():
        assert len(bodies) == 1, "whoever asks"
        # What is written in C does it in a tenth of the time.
        found = yaml.load(bodies.pop(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        assert found == document, "JSON is YAML"
    assert Api().client.get("/api/v1/schema/", headers={"Accept": "text/html"}).status_code == 406


def test_whoever_has_the_document_does_not_get_it_again(sqlite: Mode) -> None:
    client = Client()
    tags = {}
    for accept in DOCUMENTS:
        tags[accept] = client.get("/api/v1/schema/", headers={"Accept": accept})["ETag"]
        headers = {"Accept": accept, "If-None-Match": tags[accept]}
        answer = client.get("/api/v1/schema/", headers=headers)
        assert (answer.status_code, answer.content) == (304, b"")
    assert tags["application/json"] != tags["application/yaml"]
    assert tags["application/json"] != tags["application/json; indent=2"]


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("path", ["/api/", "/api/v1/nothing/", "/api/v1/nothing", "/api/%ff/%00/"])
def test_an_unknown_address_is_404_in_the_error_form(
    sqlite: Mode, debug: bool, method: str, path: str
) -> None:
    with override_settings(DEBUG=debug):
        answer = Api().client.generic(method, path)
        page = Api().client.generic(method, path, headers={"Accept": HTML})
    assert (answer.status_code, page.status_code) == (404, 404)
    if method != "HEAD":
        assert errors(answer) == [("not_found", None)]


@pytest.mark.parametrize("debug", [True, False])
def test_a_forgotten_slash_leads_a_reader_on_and_tells_a_sender(sqlite: Mode, debug: bool) -> None:
    with override_settings(DEBUG=debug):
        read = Client().get("/api/v1/queries/find-all-posts?page_size=5")
        sent = Api("alice").post("/api/v1/commands/new-post", '{"message": "a"}')
    assert (read.status_code, read.headers["Location"]) == (
        301,
        "/api/v1/queries/find-all-posts/?page_size=5",
    )
    assert (sent.status_code, "slash" in sent.json()["errors"][0]["detail"]) == (404, True)


def test_elsewhere_an_unknown_address_is_a_page(sqlite: Mode) -> None:
    answer = Client().get("/nothing/")
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (404, "text/html")


@pytest.mark.parametrize("accept", ["text/html", "application/json", "*/*"])
@pytest.mark.parametrize("path", ["/api/v1/docs/", "/api/v1/schema/", "/api/v1/events/"])
def test_a_method_that_a_document_has_not_is_no_fault_of_the_server(
    sqlite: Mode, path: str, accept: str
) -> None:
    client = Client(raise_request_exception=False)
    for method in ("OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO"):
        answer = client.generic(method, path, headers={"Accept": accept})
        assert answer.status_code < 500, method


def test_a_host_that_is_not_ours_is_400_in_the_error_form(sqlite: Mode) -> None:
    answer = Client().get("/api/v1/", headers={"Host": "evil.example"})
    assert (answer.status_code, errors(answer)) == (400, [("invalid_request", None)])


def test_ready_when_all_that_it_needs_is_there(database: Mode) -> None:
    current_bus().ensure_topic()
    now = utc_now()
    Heartbeat.objects.create(role="relay", process="p", active=True, since=now, beat_at=now)
    assert Client().get("/health/live").json() == {"status": "ok"}
    answer = ready()
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "failing": {}})


def test_not_ready_while_a_database_does_not_answer_but_alive(sqlite: Mode) -> None:
    current_bus().ensure_topic()
    before = {"read": connections.settings["read"]}
    use({"read": {**before["read"], "NAME": "/dev/null/at/all"}})
    try:
        answer, live = ready(), Client().get("/health/live")
    finally:
        use(before)
    assert (answer.status_code, list(answer.json()["failing"])) == (503, ["database read"])
    assert live.status_code == 200


def test_not_ready_while_migrations_are_missing(sqlite: Mode) -> None:
    current_bus().ensure_topic()
    with connections["read"].cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'queries_app'")
    answer = ready()
    assert answer.status_code == 503
    assert "manage.py migrate" in answer.json()["failing"]["database read"]
