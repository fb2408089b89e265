"""deploy/grafana and deploy/prometheus name what `/metrics` says, and nothing else."""

import json
import re
import shutil
import subprocess
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
TESTS = RULES.with_name("postlog.rules.test.yml")
PROMTOOL = shutil.which("promtool")
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


def test_rates_are_taken_over_as_much_time_as_there_are_scrapes_in() -> None:
    """One minute has one scrape, by Prometheus' own default, and no rate."""
    windows = {w for one in expressions(DASHBOARD) for w in re.findall(r"\[([^]]*)\]", one)}
    assert windows == {"$__rate_interval"}
    assert "scrape_interval: 15s" in OPERATIONS
    assert all("[5m]" in one for one in expressions(RULES) if "rate(" in one)


def test_grafana_finds_in_each_panel_what_it_needs() -> None:
    """As https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model
    has it: no two panels in one place, each with the data source that is chosen on import."""
    dashboard = json.loads(DASHBOARD.read_text())
    assert [one["name"] for one in dashboard["templating"]["list"]] == ["datasource"]
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y)
                 for x in range(place["w"]) for y in range(place["h"])}  # fmt: skip
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, "the width of the grid"
        taken |= cells
        assert all(one["datasource"] == chosen for one in (panel, *panel["targets"]))
        refs = [one["refId"] for one in panel["targets"]]
        assert len(set(refs)) == len(refs)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt-get install prometheus")
def test_prometheus_can_read_each_expression_and_each_alert_fires(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": one.replace("$__rate_interval", "1m")}
        for number, one in enumerate(expressions(DASHBOARD))
    ]
    panels = tmp_path / "panels.yml"
    panels.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    for call in (["check", "rules", panels], ["check", "rules", RULES], ["test", "rules", TESTS]):
        done = subprocess.run([str(PROMTOOL), *map(str, call)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tried() -> None:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    tried = [one for night in yaml.safe_load(TESTS.read_text())["tests"]
             for one in night["alert_rule_test"] if one.get("exp_alerts")]  # fmt: skip
    assert {one["alertname"] for one in tried} == {rule["alert"] for rule in group["rules"]}


def test_each_alert_leads_to_a_section_that_is_there() -> None:
    headings = re.findall(r"^#+ (.*)", OPERATIONS, re.M)
    anchors = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]:
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (page, anchor in anchors) == ("docs/operations.md", True), rule
