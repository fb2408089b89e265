"""The start page's index by what one comes for. A `ModelAdmin` says it: `task = "act"`, "record",
"inside", or a task of the project's own; one that says none is listed under its app, as Django
has it."""

from collections.abc import Mapping
from typing import Any

from django.urls import reverse

FIRST, LAST = ("act", "record"), ("inside",)  # between them: the project's own


def by_task(apps: list[dict[str, Any]], registry: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """What `AdminSite.get_app_list` returns, in sections by task; then what belongs to none."""
    sections: dict[str, list[Any]] = {task: [] for task in FIRST}
    others = []
    for app in apps:
        rest: list[Any] = []
        for model in app["models"]:
            task = getattr(registry[model["model"]], "task", "")
            (sections.setdefault(task, []) if task else rest).append(model)
        if rest:
            others.append({**app, "models": rest})
    order = [*(one for one in sections if one not in LAST), *LAST]
    found = [_section(task, sections[task]) for task in order if sections.get(task)]
    return [*found, *others]


def _section(task: str, models: list[Any]) -> dict[str, Any]:
    label = f"task-{task}"
    return {
        "name": task.capitalize(),
        "app_label": label,
        "app_url": f"{reverse('admin:index')}#{label}",
        "has_module_perms": True,
        "models": models,
    }
