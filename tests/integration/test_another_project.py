"""messaging in a project of another domain, which installs its wheel and sets nothing of it."""

import json
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

import pytest

from messaging.testing import wait_until
from tests.support.another_project import (
    ENV,
    SITE,
    build,
    install,
    install_by_pip,
    program,
    run,
    run_all,
)
from tests.support.processes import ROOT, Worker

SEND = """
from messaging import mediator
from messaging.message import Context
from orders.messages import PlaceOrder
for number in range(5):
    mediator.send(PlaceOrder(item=f"tea {number}"), Context(actor="ann"))
"""
SHOW = """
from messaging import mediator
from orders.queries import FindItems
print(mediator.ask(FindItems()).items)
"""
WAIT = """
from messaging import mediator
from messaging.testing import wait_until
from orders.queries import FindItems
def items():
    return mediator.ask(FindItems()).items
wait_until(lambda: len(items()) == 5, "all orders are shown", 60)
print(items())
"""
CONSOLE = """
from django.contrib.auth.models import User
from django.contrib.staticfiles.finders import find
from django.test import Client
client = Client(headers={"host": "localhost"})
client.force_login(User.objects.create_superuser("ann"))
print([client.get(f"/admin/{page}").status_code for page in ("", "messaging/event/")])
print(find("messaging/console.js") is not None)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As pip installs it, which finds nothing missing."""
    python = install(wheel, tmp_path_factory.mktemp("environment"))
    install_by_pip(wheel, python)
    return python


def shell(code: str) -> list[str]:
    return ["shell", "-v0", "-c", code]


def ran(python: Path, folder: Path, *arguments: str, settings: str = "site_settings") -> str:
    done = run(python, folder, *arguments, settings=settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ran_all(
    python: Path, folder: Path, *commands: list[str], settings: str = "site_settings"
) -> list[str]:
    return run_all(python, folder, *commands, DJANGO_SETTINGS_MODULE=settings)


def test_the_wheel_holds_all_of_messaging_and_nothing_else(wheel: Path) -> None:
    package = ROOT / "messaging"
    files = (one for one in package.rglob("*") if one.is_file() and one.suffix != ".pyc")
    wanted = {one.relative_to(ROOT).as_posix() for one in files}
    assert {"messaging/py.typed", "messaging/migrations/0001_initial.py"} <= wanted
    packed = {name for name in ZipFile(wheel).namelist() if not name.endswith("/")}
    assert {name for name in packed if ".dist-info/" not in name} == wanted


def test_nothing_need_be_set_beside_apps_databases_and_router(python: Path, tmp_path: Path) -> None:
    done = run(python, tmp_path, "check", "--fail-level", "WARNING")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["check", "runconsumer --help", "rebuild --help"])
def test_on_sqlite_no_lock_of_unix_is_imported(python: Path, tmp_path: Path, command: str) -> None:
    done = run(python, tmp_path, *command.split(), without=("fcntl",))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_project_of_another_domain_works_on_the_defaults(python: Path, tmp_path: Path) -> None:
    orders = str([f"tea {number}" for number in range(5)])
    _, changes, _, status = ran_all(
        python,
        tmp_path,
        ["migrate", "-v0"],
        ["makemigrations", "--check", "--dry-run"],
        shell(SEND),
        ["status"],
    )
    assert changes.startswith("No changes")
    assert "start `manage.py runconsumer`" in status
    with Worker(ENV, "runconsumer", program=program(python), folder=tmp_path) as worker:
        assert ran(python, tmp_path, *shell(WAIT)).strip() == orders
        worker.process.terminate()
        assert worker.wait() == 0
    rebuilds = [["rebuild", "--from", source] for source in ("log", "store")]
    from_log, shown, from_store, shown_too, _, status = ran_all(
        python,
        tmp_path,
        *(command for rebuild in rebuilds for command in (rebuild, shell(SHOW))),
        ["verify"],
        ["status", "--json"],
    )
    assert ("5 events" in from_log, "5 events" in from_store) == (True, True)
    assert (shown.strip(), shown_too.strip()) == (orders, orders)
    now = json.loads(status)
    assert (now["lag"], now["dead_letters"], now["outbox"]) == (0, 0, 0)
    assert now["projections"][0]["generation"] == 3


def test_a_worker_says_what_it_does_in_a_project_without_logging(
    python: Path, tmp_path: Path
) -> None:
    ran(python, tmp_path, "migrate", "-v0")
    started = [
        Worker(ENV, command, program=program(python), folder=tmp_path)
        for command in ("runrelay", "runconsumer")
    ]
    with started[0] as relay, started[1] as consumer:
        wait_until(lambda: "relay: " in relay.output(), "the one says which", 60)
        wait_until(lambda: "relay: " in consumer.output(), "the other does", 60)
        standby = relay if "another process has the lock" in relay.output() else consumer
        assert "another process has the lock" in standby.output()
        wait_until(lambda: "orders: partitions [0, 1," in consumer.output(), "its partitions", 60)


def test_a_worker_leaves_logging_to_the_project_that_configures_it(
    python: Path, tmp_path: Path
) -> None:
    (tmp_path / "logged.py").write_text(
        "from site_settings import *\n"
        "LOGGING = {'version': 1, 'handlers': {'no': {'class': 'logging.NullHandler'}},"
        " 'root': {'handlers': ['no']}}\n"
    )
    env = {"PYTHONPATH": f"{SITE}:{tmp_path}", "DJANGO_SETTINGS_MODULE": "logged"}
    ran(python, tmp_path, "migrate", "-v0")
    with Worker(env, "runrelay", program=program(python), folder=tmp_path) as relay:
        wait_until(lambda: "relay" in ran(python, tmp_path, "status"), "it leads", 60)
        relay.process.terminate()
        assert (relay.wait(), relay.output()) == (0, "")


def test_the_console_is_one_more_line_in_the_place_of_djangos_admin(
    python: Path, tmp_path: Path
) -> None:
    migrate, check = ["migrate", "-v0"], ["check", "--fail-level", "WARNING"]
    commands = (migrate, check, shell(CONSOLE))
    _, _, told = ran_all(python, tmp_path, *commands, settings="console_settings")
    assert told.splitlines() == ["[200, 200]", "True"]


def test_its_databases_have_the_names_that_it_gives_them(python: Path, tmp_path: Path) -> None:
    def named(*commands: list[str]) -> list[str]:
        return ran_all(python, tmp_path, *commands, settings="named_settings")

    named(["check", "--fail-level", "WARNING"], ["migrate", "-v0"])
    tables = {path.stem: tables_of(path) for path in tmp_path.glob("*.sqlite3")}
    assert tables["events"] >= {"messaging_event", "messaging_outbox"}
    assert tables["reports"] == {"django_migrations", "sqlite_sequence", "orders_order"} | {
        f"messaging_{name}"
        for name in (
            *("checkpoint", "deadletter", "discarded"),
            *("projectionstate", "rebuild", "skippedrecord", "streamprogress"),
        )
    }
    assert not tables["events"] & tables["reports"] - {"django_migrations", "sqlite_sequence"}
    assert not {name for name in tables["default"] if name.startswith(("messaging", "orders"))}
    assert "legacy" not in tables, "nobody asked for it"
    assert recorded(tmp_path / "reports.sqlite3") == {"messaging", "orders"}

    once, rebuild = ["runconsumer", "--once"], ["rebuild", "--from", "store"]
    _, _, shown, *_ = named(shell(SEND), once, shell(SHOW), rebuild, ["verify"])
    assert shown.count("tea") == 5


def test_another_database_is_migrated_as_django_has_it(python: Path, tmp_path: Path) -> None:
    ran(python, tmp_path, "migrate", "-v0", "--database", "legacy", settings="named_settings")
    assert tables_of(tmp_path / "legacy.sqlite3") == {
        *("django_migrations", "sqlite_sequence", "django_content_type"),
    }


def tables_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in found}


def recorded(path: Path) -> set[str]:
    """The apps whose migrations are recorded as applied."""
    with closing(sqlite3.connect(path)) as connection:
        return {app for (app,) in connection.execute("SELECT DISTINCT app FROM django_migrations")}


@pytest.fixture(scope="module")
def tester(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has pytest too, which finds the plugin by itself."""
    return install(wheel, tmp_path_factory.mktemp("tester"), "pytest", "pytest-django")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A copy of the project, for what writes into its folder."""
    return Path(shutil.copytree(SITE, tmp_path / "site"))


def tried(tester: Path, site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the project's own tests."""
    return subprocess.run(
        [tester, "-m", "pytest", "-p", "no:cacheprovider", *arguments, "kit.py"],
        cwd=site,
        env={**ENV, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_testing_kit_works_in_another_project(tester: Path, site: Path) -> None:
    done = tried(tester, site, "-W", "error")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d\d passed", done.stdout), "the contract of the store too"


def test_it_works_on_databases_in_memory_and_leaves_no_file(tester: Path, site: Path) -> None:
    (site / "in_memory.py").write_text(
        "from site_settings import *\nfor one in DATABASES.values(): del one['TEST']\n"
    )
    before = {path.name for path in site.iterdir()}
    done = tried(
        tester, site, "--ds=in_memory", "-k", "not Contract and not Database", "-W", "error"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    assert {path.name for path in site.iterdir()} - before <= {"__pycache__"}


def test_an_event_that_cannot_be_shown_fails_its_delivery_with_the_reason(
    tester: Path, site: Path
) -> None:
    projections = site / "orders" / "projections.py"
    broken = projections.read_text().replace("order.item = event.item", "raise KeyError('broken')")
    projections.write_text(broken)
    done = tried(tester, site, "-k", "shown or says")
    assert "2 failed" in done.stdout
    assert "Not all events were delivered" in done.stdout
    assert "orders: version 1 of stream" in done.stdout
    assert "KeyError: 'broken'" in done.stdout


def test_the_page_about_the_kit_shows_the_tests_that_run() -> None:
    tests = (SITE / "kit.py").read_text().partition("\n")[2].strip()
    assert tests in (ROOT / "docs" / "testing.md").read_text()
