"""`manage.py startaggregate`: what it writes, how it is laid out, and which names it refuses."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

import messaging
from messaging.scaffold import names, writing
from messaging.scaffold.layout import line_length, tidy
from messaging.scaffold.names import NameRefused

ROOT = Path(__file__).resolve().parents[2]
ORDER = ("Order", ["OrderPlaced", "OrderPaid", "OrderShipped"], ["PlaceOrder", "PayOrder"])
LONG = (
    "CustomerSubscriptionPlanX",
    ["CustomerSubscriptionPlanStartedFull", "AddressOfTheCustomerWasChangedByHi"],
    ["StartTheCustomerSubscriptionPlanXY", "AbandonCustomerSubscriptionPlanAaBb"],
)
WRITE_SIDE, READ_SIDE = {"commands", "order", "handlers"}, {"models", "projections", "queries"}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project, from which Python imports."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def written(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def imports(text: str) -> list[ast.ImportFrom]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]


# --- what it writes -------------------------------------------------------------------------------


def test_the_write_side_and_the_read_side_share_events_alone(root: Path) -> None:
    files = writing.plan(root, *ORDER).files
    modules = {name.removesuffix(".py"): text for name, text in files.items()}
    for side, other in ((WRITE_SIDE, READ_SIDE), (READ_SIDE, WRITE_SIDE)):
        imported = {
            str(node.module) for name in side for node in imports(modules[name]) if node.level
        }
        assert not imported & other
        assert "events" in imported


def test_it_imports_public_names_alone(root: Path) -> None:
    for name, text in writing.plan(root, *ORDER).files.items():
        for node in imports(text) if name.endswith(".py") else []:
            if str(node.module).startswith("messaging"):
                kit = node.module == "messaging.testing" and name.startswith("tests/")
                assert kit or {one.name for one in node.names} <= set(messaging.__all__), name


@pytest.mark.parametrize("name", ["events", "order"])
def test_events_and_decisions_know_no_django(root: Path, name: str) -> None:
    text = writing.plan(root, *ORDER).files[f"{name}.py"]
    assert not [node for node in imports(text) if str(node.module).startswith("django")]


def test_each_event_has_a_golden_file_under_its_wire_name(root: Path) -> None:
    files = writing.plan(root, *ORDER).files
    golden = {Path(name).stem: json.loads(files[name]) for name in files if name.endswith(".json")}
    assert set(golden) == {f"orders.order_{what}.v1" for what in ("placed", "paid", "shipped")}
    assert all(set(payload) == {"order_id"} for payload in golden.values())


@pytest.mark.parametrize(
    ("aggregate", "event", "field", "says"),
    [
        ("Order", "OrderPaid", "paid", "The order was paid."),
        ("StockItem", "StockItemReserved", "reserved", "The stock item was reserved."),
        ("Order", "AddressChanged", "address_changed", "Address changed."),
        ("Order", "OrderDelete", "order_delete", "Order delete."),  # a model's method
        ("Order", "OrderVersion", "order_version", "Order version."),  # a model's field
        ("Order", "OrderIs", "order_is", "Order is."),  # a keyword
    ],
)
def test_state_and_rows_know_an_event_by_what_happened(
    aggregate: str, event: str, field: str, says: str
) -> None:
    of = names.Aggregate(name=aggregate)
    _, found = names.event_names(of, "shop", ["Begun", event])
    assert (found.field, found.says) == (field, says)


def test_rows_are_laid_out_and_sorted_as_ruff_would(root: Path) -> None:
    """For names of every length, at the line length that the project has set."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    lint = {key: rules["lint"][key] for key in ("select", "ignore")}
    several: list[Any] = [ORDER, LONG, ("Sku", ["Made2", "Made10", "SKUMade"], ["MakeIt"])]
    several.append(("Match", ["MatchBegun", "MatchDeleted", "Ended"], ["BeginMatch", "DeleteIt"]))
    for width in (79, 88, 100, 120):
        (root / "ruff.toml").write_text(f"line-length = {width}\nlint = {_toml(lint)}\n")
        for number, (name, events, commands) in enumerate(several):
            if width == 79 and name == LONG[0]:
                continue
            name, events, commands = _fitting(name, events, commands)
            writing.write(writing.plan(root, name, events, commands, f"app_{width}_{number}"))
        (root / f"w{width}").mkdir()
        for path in root.glob(f"app_{width}_*"):
            path.rename(root / f"w{width}" / path.name)
        (root / "ruff.toml").rename(root / f"w{width}" / "ruff.toml")
    ruff = Path(sys.executable).with_name("ruff")
    for arguments in (["check", "--no-cache", "-q"], ["format", "--no-cache", "--diff", "-q"]):
        done = subprocess.run([ruff, *arguments, root], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def _fitting(name: str, events: list[str], commands: list[str]) -> Any:
    """The longest names that it takes."""
    most = names.MAX_MESSAGE
    return name[: names.MAX_AGGREGATE], [e[:most] for e in events], [c[:most] for c in commands]


def _toml(lint: dict[str, list[str]]) -> str:
    return "{" + ", ".join(f"{key} = {json.dumps(value)}" for key, value in lint.items()) + "}"


def test_imports_are_sorted_constants_first_and_numbers_by_their_value() -> None:
    text = "from .order import pay\nfrom .a import Bb10, Bb9, C_D, b\nx = 1\n"
    wanted = "from .a import C_D, Bb9, Bb10, b\nfrom .order import pay\nx = 1\n"
    assert tidy(text, 88) == wanted


@pytest.mark.parametrize(
    ("file", "text", "width"),
    [
        ("pyproject.toml", "[tool.ruff]\nline-length = 100", 100),
        ("pyproject.toml", "[tool.black]\nline-length = 79", 79),
        ("ruff.toml", "line-length = 120", 120),
        ("pyproject.toml", "[project]\nname = 'x'", 88),
        ("pyproject.toml", "no toml", 88),
        ("setup.cfg", "", 88),
    ],
)
def test_lines_are_as_long_as_the_project_has_them(
    tmp_path: Path, file: str, text: str, width: int
) -> None:
    (tmp_path / file).write_text(text)
    assert line_length(tmp_path) == width


# --- where it writes ------------------------------------------------------------------------------


def test_a_new_app_is_a_package_of_its_own(root: Path) -> None:
    planned = writing.plan(root, *ORDER)
    writing.write(planned)
    assert (planned.package, planned.folder) == ("orders", root / "orders")
    assert {path.relative_to(root / "orders").as_posix() for path in written(root)} == {
        *planned.files
    }


def test_in_an_app_that_is_there_it_becomes_an_app_within(root: Path) -> None:
    (root / "shop").mkdir()
    for name in ("__init__.py", "models.py"):
        (root / "shop" / name).write_text("# mine\n")
    planned = writing.plan(root, *ORDER, app="shop")
    writing.write(planned)
    assert planned.package == "shop.order"
    assert 'name = "shop.order"' in planned.files["apps.py"]
    assert "shop.order_placed.v1" in planned.files["events.py"]
    assert (root / "shop" / "models.py").read_text() == "# mine\n"
    assert (root / "shop" / "order" / "models.py").is_file()


@pytest.mark.parametrize(("there", "app"), [("orders/mine.txt", ""), ("shop/order/mine", "shop")])
def test_what_is_there_is_not_touched(root: Path, there: str, app: str) -> None:
    path = root / there
    path.parent.mkdir(parents=True)
    path.touch()
    if app:
        (root / app / "__init__.py").touch()
    before = written(root)
    with pytest.raises(NameRefused, match=r"is there already\. Nothing was written"):
        writing.plan(root, *ORDER, app=app)
    assert written(root) == before


def test_a_file_that_came_meanwhile_is_not_overwritten(root: Path) -> None:
    planned = writing.plan(root, *ORDER)
    (root / "orders").mkdir()
    with pytest.raises(FileExistsError):
        writing.write(planned)


def test_a_folder_that_python_does_not_import_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NameRefused, match=r"run this in the folder of manage\.py"):
        writing.plan(tmp_path, *ORDER)


# --- what it refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aggregate", "events", "commands", "app", "why"),
    [
        ("order", ["Placed"], ["Place"], "", "write it in CamelCase, as Order is."),
        ("Or-der", ["Placed"], ["Place"], "", "write it in CamelCase, as OrDer is."),
        ("1st", ["Placed"], ["Place"], "", "write it in CamelCase."),
        ("Bücher", ["Placed"], ["Place"], "", "write it in CamelCase"),
        ("Order", ["order_placed"], ["Place"], "", "write it in CamelCase, as OrderPlaced is."),
        ("Order", ["Placed"], ["place order"], "", "write it in CamelCase, as PlaceOrder is."),
        ("O" * 25, ["Placed"], ["Place"], "", "24 at most"),
        ("Order", ["P" * 35], ["Place"], "", "34 at most"),
        ("Class", ["Begun"], ["Begin"], "", "Python has a meaning for 'class'"),
        ("List", ["Begun"], ["Begin"], "", "Python has a meaning for 'list'"),
        ("Order", ["Begun"], ["Import"], "", "Python has a meaning for 'import'"),
        ("Order", ["Placed", "Placed"], ["Place"], "", "Placed is named twice"),
        ("Order", ["Placed"], ["Placed"], "", "Placed is named twice"),
        ("Order", ["Order"], ["Place"], "", "Order is named twice"),
        ("Order", ["HTTPSent", "HttpSent"], ["Place"], "", "is named twice"),
        ("Order", ["Placed"], ["Place", "Pay", "Ship"], "", "Pay, Ship: a command leads to"),
        ("Match", ["Begun", "MatchId"], ["Begin"], "", "a field match_id already"),
        ("Page", ["Made"], ["Make"], "", "Page would mean two things in queries.py"),
        ("Command", ["Made"], ["Make"], "", "command would mean two things in handlers.py"),
        ("Order", ["OrderEvent"], ["Place"], "", "OrderEvent would mean two things in order.py"),
        ("Order", ["Placed"], ["Evolve"], "", "evolve would mean two things in order.py"),
        ("Handlers", ["Made"], ["Make"], "", "its module would be called handlers.py"),
        ("Order", ["Placed"], ["Place"], "Shop", "name a package in lower case, such as orders"),
        ("Order", ["Placed"], ["Place"], "a-b", "name a package in lower case"),
        ("Order", ["Placed"], ["Place"], "class", "name a package in lower case"),
        ("Order", ["Placed"], ["Place"], "../up", "name a package in lower case"),
        ("Order", ["Placed"], ["Place"], "json", "a Python module has this name"),
        ("Order", ["Placed"], ["Place"], "shop.orders", "there is no package shop in"),
        ("Order", ["Placed"], ["Place"], "messaging", "a Python module has this name"),
        ("Post", ["PostCreated"], ["Place"], "x", "event PostCreated already, in contracts.posts"),
        ("Thing", ["PostLiked"], ["Place"], "posts", "event PostLiked already"),
        ("Thing", ["Placed"], ["LikePost"], "x", "command LikePost already, in commands_app"),
        ("PostById", ["Placed"], ["Place"], "x", "query FindPostById already, in queries_app"),
        ("POST", ["Placed"], ["Place"], "x", "streams of the type 'post'"),
        ("Thing", ["Placed"], ["Place"], "auth", "the label 'auth'"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_with_what_to_do(
    root: Path, aggregate: str, events: list[str], commands: list[str], app: str, why: str
) -> None:
    with pytest.raises(NameRefused) as refused:
        writing.plan(root, aggregate, events, commands, app)
    assert why in str(refused.value)
    assert written(root) == []


def test_the_command_says_what_comes_next(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    name, events, commands = ORDER
    call_command("startaggregate", name, events=events, commands=commands)
    assert capsys.readouterr().out.splitlines() == [
        "Wrote 19 files to orders/.",
        "  PlaceOrder leads to OrderPlaced",
        "  PayOrder leads to OrderPaid",
        "  OrderShipped: no command yet",
        "Next:",
        '  1. add "orders" to INSTALLED_APPS, beside "messaging"',
        "  2. python manage.py makemigrations orders",
        "  3. python manage.py migrate",
        "  4. python manage.py test orders",
    ]


def test_a_name_is_refused_in_one_line_as_wrong_usage(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    with pytest.raises(CommandError) as refused:
        call_command("startaggregate", "order", events=["OrderPlaced"], commands=["PlaceOrder"])
    assert refused.value.returncode == 2
