"""The console's index by task."""

from typing import Any

from messaging.console.tasks import by_task


class Act:
    task = "act"


class Inside:
    task = "inside"


class Own:
    task = "billing"


class Nothing:
    pass


def app(name: str, *models: type) -> dict[str, Any]:
    return {"name": name, "app_label": name, "models": [{"model": one} for one in models]}


def test_the_projects_own_tasks_stand_before_what_is_inside_and_apps_behind() -> None:
    registry = {one: one for one in (Act, Inside, Own, Nothing)}
    found = by_task([app("a", Inside, Nothing), app("b", Own, Act)], registry)
    assert [one["name"] for one in found] == ["Act", "Billing", "Inside", "a"]
    assert [[row["model"] for row in one["models"]] for one in found] == [
        [Act], [Own], [Inside], [Nothing],
    ]  # fmt: skip
    assert by_task([], {}) == []
