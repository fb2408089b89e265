"""Snippets of docs/ that belong to no walk (tests/integration/test_walks.py): each is executed, or
read by what reads it in production."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.test import Client, override_settings
from django.utils.module_loading import import_string
from kafka import KafkaConsumer

import messaging
from commands_app import post
from commands_app.commands import EditMessage, NewPost
from commands_app.handlers import posts
from contracts.posts import PostCreated
from messaging import Context, conf, mediator
from messaging.access import NamedAsker, permits
from messaging.bus import current_bus
from messaging.bus.hazards import CONFIGURATION, Topic, hazards_of
from messaging.bus.kafka import CLIENTS
from messaging.bus.kafka.client import KafkaPythonBus
from messaging.bus.kafka.oauth import Tokens
from messaging.checks import settings_are_right
from messaging.eventstore.models import Event
from messaging.message import (
    COMMANDS,
    INTERNAL_COMMANDS,
    INTERNAL_QUERIES,
    QUERIES,
    Position,
    who_may,
)
from messaging.testing import deliver_all
from messaging.testing.bus_contract import BusContract
from messaging.testing.in_memory import MemoryBus
from tests.support.modes import Mode
from tests.support.processes import ROOT, manage
from tests.support.settings import postlog
from tests.support.stock import Reserved, items, stock
from tests.support.walk import Block, blocks_of

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
ALICE = Context(actor="alice")
PUBLIC: dict[str, Any] = {name: getattr(messaging, name) for name in messaging.__all__}


def blocks(page: str, language: str) -> list[Block]:
    return [one for one in blocks_of(ROOT / page) if one.language == language]


def block(page: str, language: str, holding: str) -> str:
    """The one block of the page in which this stands."""
    (found,) = [one.text for one in blocks(page, language) if holding in one.text]
    return found


def executed(text: str, **names: Any) -> dict[str, Any]:
    """What the snippet defines, with these names and all public ones at hand."""
    known = {**PUBLIC, "dataclass": dataclass, "UUID": UUID, "Any": Any, **names}
    exec(compile(text, "<snippet>", "exec", dont_inherit=True), known)
    return known


# --- which page is executed where ------------------------------------------------------------

HELD_BY = {
    "CONTRIBUTING.md": "tests/integration/test_snippets.py",  # its commands are read
    "README.md": "tests/integration/test_walks.py",
    "docs/concepts.md": "tests/integration/test_snippets.py",
    "docs/errors.md": "tests/integration/test_snippets.py",
    "docs/generators.md": "tests/integration/test_startaggregate.py",
    "docs/guides/*.md": "tests/integration/test_walks.py",
    "docs/guides/kubernetes.md": "tests/integration/test_snippets.py",
    "docs/guides/managed-kafka.md": "tests/integration/test_snippets.py",
    "docs/operations.md": "tests/integration/test_snippets.py",
    "docs/poolers.md": "tests/faults/test_poolers.py",
    "docs/quickstart.md": "tests/integration/test_walks.py",
    "docs/reference.md": "tests/integration/test_reference.py",
    "docs/testing.md": "tests/integration/test_another_project.py",
    "docs/tutorial/*.md": "tests/integration/test_walks.py",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_with_snippets_is_executed_by_a_test(page: Path) -> None:
    name = str(page.relative_to(ROOT))
    if not any(one.language for one in blocks_of(page)):
        return
    folder = f"{page.parent.relative_to(ROOT)}/*.md"
    test = HELD_BY.get(name) or HELD_BY.get(folder)
    assert test, f"{name} has snippets: write a test that executes them"
    if name not in HELD_BY and page.parent.name != "tutorial":
        assert page.name in (ROOT / test).read_text(), f"{test} does not walk {name}"


# --- commands in the shell -------------------------------------------------------------------

COMMAND = re.compile(r"(?:^|`|\s)manage\.py ([a-z][^`\n]*)")
PLACEHOLDERS = {"01a20892-…": str(uuid4()), "…": "x", "[NAME]": "posts", "EVENT_ID": str(uuid4())}

WALKED = ("docs/guides/", "docs/quickstart.md", "docs/tutorial/")
NOT_WALKED = [page for page in PAGES if not str(page.relative_to(ROOT)).startswith(WALKED)]
NOT_WALKED.append(DOCS / "guides" / "kubernetes.md")


def commands_of(page: Path) -> Iterator[list[str]]:
    """What stands behind `manage.py` in a block: fenced, or indented."""
    text = page.read_text()
    shown = [one.text for one in blocks_of(page) if one.language == "sh"]
    shown += re.findall(r"^    (?:\S+ )*manage\.py .*$", text, re.M)
    for line in "\n".join(shown).replace("\\\n", " ").splitlines():
        for command in COMMAND.findall(line):
            for name, instead in PLACEHOLDERS.items():
                command = command.replace(name, instead)
            words = shlex.split(command.partition(" | ")[0].partition(" > ")[0], comments=True)
            yield [word for word in words if word != "&"]


@pytest.mark.parametrize("page", NOT_WALKED, ids=lambda page: page.name)
def test_each_command_that_a_page_shows_is_one_that_can_be_given(page: Path) -> None:
    for name, *arguments in commands_of(page):
        command = load_command_class(get_commands()[name], name)
        command.create_parser("manage.py", name).parse_args(arguments)  # ends the process if not


# --- concepts --------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["docs/concepts.md"])
def test_an_excerpt_stands_in_the_file_that_it_names(page: str) -> None:
    excerpts = [one for one in blocks(page, "python") if one.title]
    assert excerpts
    for one in excerpts:
        source = (ROOT / one.title).read_text()
        for part in one.text.strip().split("\n\n\n"):
            assert part in source, f"{one.where}: not in {one.title}:\n{part}"


@pytest.fixture
def forgotten() -> Iterator[None]:
    registries = (COMMANDS, QUERIES, INTERNAL_COMMANDS, INTERNAL_QUERIES)
    before = [dict(one) for one in registries]
    yield
    for registry, known in zip(registries, before, strict=True):
        registry.clear()
        registry.update(known)


@pytest.mark.usefixtures("forgotten")
def test_a_rule_that_is_a_function_says_who_may() -> None:
    found = executed(block("docs/concepts.md", "python", "def of_the_shop"))
    rule = found["of_the_shop"]
    assert who_may(found["TakePayment"]) is rule
    assert [permits(rule, NamedAsker(name)) for name in ("till", "bob")] == [True, False]
    text = (DOCS / "concepts.md").read_text()
    rows = re.findall(r"^\| `@(?:command|query)\b.*$", text, re.M)
    for number, spelled in enumerate(re.findall(r"`@([^`]+)`", "\n".join(rows))):
        cls = type(f"Passing{number}", (), {})
        register = eval(spelled, {**PUBLIC, "of_the_shop": rule})
        assert register(dataclass(frozen=True, slots=True, kw_only=True)(cls))
    assert len(rows) == 6


def test_a_repository_loads_and_saves_as_concepts_say(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = indent(block("docs/concepts.md", "python", "stream → state"), "    ")
    handler = executed(
        f"def edit(command, uow):\n    text = command.message\n{body}", posts=posts, post=post
    )["edit"]
    monkeypatch.setitem(mediator._command_handlers, EditMessage, handler)
    post_id = mediator.send(NewPost(message="Hi"), ALICE).stream_id
    assert mediator.send(EditMessage(post_id=post_id, message="Ho"), ALICE).version == 2


@pytest.mark.usefixtures("forgotten")
def test_one_command_saves_two_streams_as_concepts_say(
    sqlite: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    @messaging.command
    @dataclass(frozen=True, slots=True, kw_only=True)
    class PlaceOrder:
        """Order some of an item."""

        order_id: UUID
        item_id: UUID
        quantity: int

    monkeypatch.setattr(mediator, "_command_handlers", {**mediator._command_handlers})
    executed(
        block("docs/concepts.md", "python", "def place_order"),
        PlaceOrder=PlaceOrder,
        items=items,
        orders=posts,  # another aggregate will do
        reserve=lambda _, order_id, quantity: [Reserved(amount=quantity, post_id=order_id)],
        place=lambda _, actor, command: [
            PostCreated(post_id=command.order_id, author=actor, message=str(command.quantity))
        ],
    )
    order_id, item_id = uuid4(), uuid4()
    with stock():
        command = PlaceOrder(order_id=order_id, item_id=item_id, quantity=3)
        result = mediator.send(command, ALICE)
    assert result.positions == (Position("post", order_id, 1), Position("stock_item", item_id, 1))
    assert Event.objects.count() == 2


# --- Kubernetes ------------------------------------------------------------------------------

PAGE = "docs/guides/kubernetes.md"
PROBE = {"httpGet", "periodSeconds", "failureThreshold", "timeoutSeconds"}  # of core/v1


@pytest.mark.parametrize("of", ["SecurityMiddleware", "metrics.metrics"])
def test_the_middleware_of_the_page_is_first_and_in_this_order(of: str) -> None:
    shown = executed(block(PAGE, "python", of))["MIDDLEWARE"][:-1]
    assert [one for one in settings.MIDDLEWARE if one in shown] == shown
    assert settings.MIDDLEWARE[0] == shown[0]
    assert all(map(import_string, shown))


def test_the_probes_of_the_page_are_answered(sqlite: Mode) -> None:
    current_bus().ensure_topic()
    deliver_all()
    probes = yaml.safe_load(block(PAGE, "yaml", "livenessProbe"))
    assert set(probes) == {"livenessProbe", "readinessProbe"}
    answers = {}
    for name, probe in probes.items():
        assert set(probe) <= PROBE
        assert set(probe["httpGet"]) == {"path", "port"}
        # To the address of a pod, over plain HTTP.
        answers[name] = Client().get(probe["httpGet"]["path"], headers={"host": "10.1.2.3:8000"})
    assert answers["livenessProbe"].status_code == 200
    ready = answers["readinessProbe"]
    (shown,) = re.findall(r'`(\{"status": "unavailable".*?\}\})`', (ROOT / PAGE).read_text())
    assert (ready.status_code, ready.json()) == (503, json.loads(shown))


def test_the_workers_of_the_page_are_started_by_commands_that_there_are() -> None:
    (worker,) = yaml.safe_load(block(PAGE, "yaml", "containers:"))["containers"]
    assert set(worker) == {"name", "command"}
    python, file, name, *arguments = worker["command"]
    assert (python, file, name) == ("python", "manage.py", "runconsumer")
    command = load_command_class(get_commands()[name], name)
    assert command.create_parser(file, name).parse_args(arguments).no_relay is True


# --- managed Kafka ---------------------------------------------------------------------------


def test_the_settings_for_a_managed_kafka_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9096", "KAFKA_USERNAME": "shop"}
    for name, value in {**given, "KAFKA_PASSWORD": "secret"}.items():
        monkeypatch.setenv(name, value)
    shown = executed(block("docs/guides/managed-kafka.md", "python", "POSTLOG"))["POSTLOG"]
    with override_settings(POSTLOG=shown):
        assert settings_are_right() == []
        bus = KafkaPythonBus(conf.postlog().kafka)
    assert set(bus.client) - {"bootstrap_timeout_ms"} <= set(KafkaConsumer.DEFAULT_CONFIG)
    assert (bus.client["bootstrap_servers"], bus.user) == (["kafka.example:9096"], "shop")


def test_a_token_provider_as_the_page_shows_it_is_taken_by_both_clients() -> None:
    page = "docs/guides/managed-kafka.md"
    found = SimpleNamespace(access_token="t", expires_at=9e9)
    identities = SimpleNamespace(token_for=lambda _service: found)
    shown = executed(block(page, "python", "def token"), the_identity_provider=identities)
    assert Tokens(shown["token"]).current() == ("t", 9e9, {"logicalCluster": "lkc-1"})
    security = executed(block(page, "python", "OAUTHBEARER"))["security"]
    security["sasl_oauth_token_provider"] = "tests.support.guarded.token_of_the_reader"
    for client in CLIENTS:
        kafka = {"bootstrap_servers": "127.0.0.1:1", "client": client, "security": security}
        with postlog(kafka=kafka):
            assert settings_are_right() == []


def test_a_topic_made_as_the_page_says_is_safe() -> None:
    page = (DOCS / "guides" / "managed-kafka.md").read_text()
    shown = {}
    for names, value in re.findall(r"^\| (`[a-z.`, ]+) \| (.+?) \|", page, re.M):
        (meant,) = re.findall(r"-1|[0-9]{7}|^2|delete|false", value)
        shown |= dict.fromkeys(re.findall(r"`(.+?)`", names), meant)
    assert set(shown) == set(CONFIGURATION)
    topic = Topic(
        name="t",
        partitions=12,
        configured_partitions=12,
        brokers=3,
        replicas=3,
        configuration=shown,
    )
    assert hazards_of(topic) == []


# --- tests, generators -----------------------------------------------------------------------


def test_the_contract_of_a_bus_is_overridden_as_the_page_says() -> None:
    text = block("docs/testing.md", "python", "class TestMyBus")
    found = executed(text, pytest=pytest, uuid4=uuid4, MyBus=MemoryBus)["TestMyBus"]
    assert issubclass(found, BusContract)
    overridden = {name for name in vars(found) if not name.startswith("__")}
    assert overridden - {"pytestmark"} <= set(dir(BusContract))


def test_an_upcaster_lifts_as_the_page_says() -> None:
    text = dedent(block("docs/generators.md", "python", "@upcaster"))
    lift = executed(text, upcaster=lambda *_: lambda function: function)["with_amount"]
    assert lift({"order_id": "x"}) == {"order_id": "x", "amount": 0}


# --- metrics and traces ------------------------------------------------------------------------


def test_prometheus_scrapes_as_the_page_has_it(sqlite: Mode) -> None:
    (job,) = yaml.safe_load(block("docs/operations.md", "yaml", "scrape_configs"))["scrape_configs"]
    assert set(job) == {"job_name", "scrape_interval", "authorization", "static_configs"}
    assert set(job["authorization"]) == {"credentials_file"}, "its type is Bearer by default"
    with postlog(METRICS_TOKEN="a-token-of-this-test"):
        answer = Client(headers={"Authorization": "Bearer a-token-of-this-test"}).get("/metrics")
    assert answer.status_code == 200


def test_traces_go_where_the_variables_on_the_page_say(sqlite: Mode) -> None:
    line = block("docs/operations.md", "sh", "TRACES=on")
    env = dict(word.split("=", 1) for word in shlex.split(line))
    said = """if True:
        from messaging import conf
        from messaging.monitoring.spans import _provider
        provider = _provider()
        (processor,) = provider._active_span_processor._span_processors
        print(conf.postlog().traces, provider.sampler.get_description())
        print(processor.span_exporter._endpoint, provider.resource.attributes["service.name"])
    """
    done = manage(sqlite.env | env, "shell", "-v0", "-c", said)
    assert done.stdout.split() == [
        "True",
        "TraceIdRatioBased{0.01}",
        "http://127.0.0.1:4318/v1/traces",
        "postlog",
    ], done.stderr
