"""What `manage.py check` says of the rules of messages, and the ids of all checks."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.apps import apps

from messaging import message
from messaging.message import COMMANDS, INTERNAL_QUERIES
from messaging.message_checks import permissions_exist

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundOrder:
    """Give the money back."""


@pytest.mark.parametrize(
    ("who", "is_known"),
    [
        ("queries_app.view_removed_text", True),  # Meta.permissions
        ("accounts.change_user", True),  # of every model
        ("accounts.change_users", False),
        ("queries_app.view_removed", False),
        ("no_such_app.change_user", False),
        ("accounts.change.user", False),
    ],
)
@pytest.mark.parametrize("registry", [COMMANDS, INTERNAL_QUERIES])
def test_a_permission_that_no_model_has_is_named(
    monkeypatch: pytest.MonkeyPatch, registry: dict[str, type], who: str, is_known: bool
) -> None:
    monkeypatch.setitem(registry, "RefundOrder", RefundOrder)
    monkeypatch.setitem(message._WHO, RefundOrder, who)
    found = [(one.id, one.msg) for one in permissions_exist()]
    assert [name for name, _ in found] == ([] if is_known else ["postlog.W006"])
    assert all(f"RefundOrder asks for the permission {who}," in said for _, said in found)


def test_a_permission_that_a_migration_makes_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (folder := tmp_path / "migrations").mkdir()
    monkeypatch.setattr(apps.get_app_config("accounts"), "path", str(tmp_path))
    monkeypatch.setitem(COMMANDS, "RefundOrder", RefundOrder)
    monkeypatch.setitem(message._WHO, RefundOrder, "accounts.refund_order")
    assert [one.id for one in permissions_exist()] == ["postlog.W006"]
    (folder / "0002_refunds.py").write_text('create(codename="refund_order")')
    assert permissions_exist() == []


def test_no_two_checks_have_the_same_id() -> None:
    """Who silences one would silence the other."""
    sources = (file.read_text() for file in (ROOT / "messaging").rglob("*.py"))
    ids = [one for text in sources for one in re.findall(r'id="(postlog\.\w+)"', text)]
    assert len(ids) > 15
    assert len(ids) == len(set(ids)), sorted(ids)
