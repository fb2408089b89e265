"""`from messaging import ...` is all that a project imports, and loads what is asked for alone."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from pkgutil import iter_modules

import pytest

import messaging

ROOT = Path(__file__).resolve().parents[2]
SURFACE = ast.parse((ROOT / "messaging" / "__init__.py").read_text())
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
EXAMPLES = re.findall(r"^```py(?:thon|con)\n(.*?)^```", REFERENCE, re.M | re.S)
USERS = ("accounts", "commands_app", "queries_app", "contracts", "web", "examples")
PROJECTS = [ROOT / "tests" / "support" / "orders_site", *(ROOT / name for name in USERS)]


def imported_for_type_checkers() -> dict[str, str]:
    (block,) = (one for one in SURFACE.body if isinstance(one, ast.If))
    return {
        alias.asname or alias.name: str(statement.module)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def imports_of_messaging(folder: Path) -> Iterator[tuple[str, str, str]]:
    """The file, the module and the name of each."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            where = str(path.relative_to(ROOT))
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "messaging":
                yield from ((where, str(node.module), alias.name) for alias in node.names)
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
                yield from ((where, one, "") for one in names if one.split(".")[0] == "messaging")


def test_a_type_checker_and_python_find_the_same_names_in_the_same_modules() -> None:
    assert imported_for_type_checkers() == messaging._MODULE_OF
    assert messaging.__all__ == sorted(messaging.__all__, key=lambda n: (not n.isupper(), n))
    assert set(messaging.__all__) == set(messaging._MODULE_OF)


@pytest.mark.parametrize("name", messaging.__all__)
def test_each_name_is_there(name: str) -> None:
    assert getattr(messaging, name) is not None
    assert name in dir(messaging)


@pytest.mark.parametrize("name", messaging.__all__)
def test_the_reference_has_an_entry_with_an_example_for_each_name(name: str) -> None:
    entry = re.search(rf"^(### .*|\| )`{name}`", REFERENCE, re.M)
    shown = [block for block in EXAMPLES if re.search(rf"\b{name}\b", block)]
    contents = REFERENCE.partition("\n## ")[0]
    missing = [
        f"an entry (a heading: ### `{name}`)" if not entry else "",
        "a ```python or ```pycon block that uses it" if not shown else "",
        f"a link to it (`{name}`) in the table of contents" if f"`{name}`" not in contents else "",
    ]
    assert not any(missing), (
        f"docs/reference.md lacks for the public name {name}: {', '.join(filter(None, missing))}. "
        "Write it in the section that fits; tests/integration/test_reference.py runs all blocks."
    )


def test_no_name_is_also_a_module() -> None:
    """Importing that would replace it."""
    assert not {one.name for one in iter_modules(messaging.__path__)} & set(messaging.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        messaging.no_such_name  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("module", ["messaging", "contracts.posts"])
def test_importing_it_loads_neither_django_nor_any_client(module: str) -> None:
    program = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    not_needed = {"django", "rest_framework", "kafka", "psycopg2", "psycopg", "msgspec"}
    assert not set(done.stdout.split()) & not_needed


OWN_TESTS = re.compile(r"tests/support/orders_site/kit\.py|examples/\w+/(\w+/tests|tests/\w+)\.py")


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda folder: folder.name)
def test_projects_import_public_names_alone(folder: Path) -> None:
    """In settings a dotted path may name more, and URLs take in the API's routes. The testing kit
    is for their tests."""
    private = [
        (where, module, name)
        for where, module, name in imports_of_messaging(folder)
        if module != "messaging" or name not in ("", *messaging.__all__)
        if not (OWN_TESTS.fullmatch(where) and module.startswith("messaging.testing"))
        if not (where.endswith("urls.py") and (module, name) == ("messaging.api.routes", "routes"))
    ]
    assert private == []


def test_nothing_inside_imports_by_the_public_names() -> None:
    """The package's layers could not be seen then."""
    inside = imports_of_messaging(ROOT / "messaging")
    assert [one for one in inside if one[1] == "messaging" and one[2] in messaging.__all__] == []
