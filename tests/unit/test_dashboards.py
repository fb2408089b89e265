"""deploy/grafana and deploy/prometheus name what `/metrics` says, and nothing else."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.registry import CollectorRegistry

from messaging.message import utc_now
from messaging.monitoring.figures import Figures, ProjectionFigures
from messaging.monitoring.metrics import _Collector
from messaging.monitoring.samples import Row

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "postlog.json"
RULES = ROOT / "deploy" / "prometheus" / "postlog.rules.yml"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def said() -> dict[str, set[str]]:
    """The names that `/metrics` has, with the labels of each."""
    posts = ProjectionFigures(applied=1, p50_s=0.1, p95_s=0.2)
    figures = Figures(
        taken_s=utc_now().timestamp(), published=1, projections={"posts": posts},
        workers={"consumer": 1},
    )  # fmt: skip
    registry = CollectorRegistry()
    registry.register(_Collector(Row(utc_now(), figures), utc_now()))
    return {one.name: {*one.labels} for family in registry.collect() for one in family.samples}


def expressions(path: Path) -> list[str]:
    if path == RULES:
        (group,) = yaml.safe_load(path.read_text())["groups"]
        return [rule["expr"] for rule in group["rules"]]
    panels = json.loads(path.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


@pytest.mark.parametrize("path", [DASHBOARD, RULES], ids=lambda path: path.name)
def test_each_metric_and_label_that_is_named_exists(path: Path) -> None:
    found, known = expressions(path), said()
    assert len(found) > 10
    names = {name for one in found for name in re.findall(r"\bpostlog_\w+", one)}
    assert names <= known.keys()
    for one in found:
        (first,) = set(re.findall(r"\bpostlog_\w+", one)[:1])
        labels = re.findall(r"by \(([^)]*)\)", one) + re.findall(r"{(\w+)=", one)
        assert {label for some in labels for label in some.split(", ")} <= known[first], one


def test_the_dashboard_shows_all_that_there_is() -> None:
    text = " ".join(expressions(DASHBOARD))
    assert not [name for name in said() if name not in text]


def test_each_alert_leads_to_a_section_that_is_there() -> None:
    headings = re.findall(r"^#+ (.*)", OPERATIONS, re.M)
    anchors = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]:
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (page, anchor in anchors) == ("docs/operations.md", True), rule
