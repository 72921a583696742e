"""Writes the dashboards for Grafana; `--check` says whether those in the repository are these. Starts nothing.

python deploy/grafana/build.py [--check]
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "edge-agent-prometheus"}
_COLUMNS = 24
_HERE_ONLY = 'instance=~"$instance"'
_ONE = 'instance=~"$instance", machine=~"$machine"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `queries` are PromQL with the words of their legends."""

    title: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 12
    height: int = 8
    red_above: float | None = None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard; `by_machine` lets people choose a machine."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    by_machine: bool = False


def _rate(series: str, labels: str = _HERE_ONLY) -> str:
    return f"rate({series}{{{labels}}}[$__rate_interval])"


def _p(quantile: float, series: str) -> str:
    buckets = f"sum by (instance, le) ({_rate(series + '_bucket')})"
    return f"histogram_quantile({quantile}, {buckets})"


FLEET = Dashboard(
    "edge-agent-fleet",
    "Edge agent: fleet",
    (
        Panel("Open alarms", (("sum(edge_agent_alarms_open)", ""),), "stat", width=6, height=4, red_above=1),
        Panel(
            "Sensor findings",
            (("sum(edge_agent_sensor_findings_open)", ""),),
            "stat",
            width=6,
            height=4,
            red_above=1,
        ),
        Panel(
            "Machines", (("sum by (state) (edge_agent_machines)", "{{state}}"),), "stat", width=6, height=4
        ),
        Panel("Agents that answer", (('sum(up{job="edge-agent"})', ""),), "stat", width=6, height=4),
        Panel(
            "Nearest to an alarm: score over threshold",
            ((f"topk(10, edge_agent_score_ratio{{{_HERE_ONLY}}})", "{{machine}}"),),
            "bargauge",
            red_above=1,
        ),
        Panel("Alarms by machine", ((f"edge_agent_alarms_open{{{_HERE_ONLY}}}", "{{machine}}"),)),
        Panel(
            "Age of each machine's data",
            ((f"time() - edge_agent_data_timestamp_seconds{{{_HERE_ONLY}}}", "{{machine}}"),),
            unit="s",
        ),
        Panel("Messages", (("instance:edge_agent_messages:rate5m", "{{instance}}"),), unit="reqps"),
    ),
)
MACHINE = Dashboard(
    "edge-agent-machine",
    "Edge agent: machine",
    (
        Panel(
            "Alarm open", ((f"edge_agent_alarms_open{{{_ONE}}}", ""),), "stat", width=6, height=4, red_above=1
        ),
        Panel(
            "Sensor findings",
            ((f"edge_agent_sensor_findings_open{{{_ONE}}}", ""),),
            "stat",
            width=6,
            height=4,
            red_above=1,
        ),
        Panel("State", ((f"edge_agent_machine_info{{{_ONE}}}", "{{state}}"),), "stat", width=6, height=4),
        Panel(
            "Age of data", ((f"time() - edge_agent_data_timestamp_seconds{{{_ONE}}}", ""),), "stat", "s", 6, 4
        ),
        Panel(
            "Score and threshold",
            ((f"edge_agent_score{{{_ONE}}}", "score"), (f"edge_agent_threshold{{{_ONE}}}", "threshold")),
            width=24,
            height=10,
        ),
        Panel(
            "Drift: score over threshold, now and the median of an hour",
            (
                (f"edge_agent_score_ratio{{{_ONE}}}", "now"),
                (f"machine:edge_agent_score_ratio:median1h{{{_ONE}}}", "median of an hour"),
            ),
            red_above=1,
        ),
        Panel(
            "Drift: threshold over the learnt one",
            ((f"edge_agent_threshold_ratio{{{_ONE}}}", "ratio"),),
            red_above=1.4,
        ),
        Panel(
            "Drift: values and calm scores against those learnt (PSI)",
            (
                (f"edge_agent_input_drift{{{_ONE}}}", "values, the channel that moved most"),
                (f"edge_agent_score_drift{{{_ONE}}}", "calm scores"),
            ),
            red_above=2,
        ),
        Panel(
            "Share of the last day that was scored",
            ((f"edge_agent_scored_share{{{_ONE}}}", ""),),
            "stat",
            "percentunit",
            6,
        ),
        Panel(
            "Age of what was learnt",
            ((f"time() - edge_agent_learnt_timestamp_seconds{{{_ONE}}}", ""),),
            "stat",
            "s",
            6,
        ),
    ),
    by_machine=True,
)
AGENT = Dashboard(
    "edge-agent-health",
    "Edge agent: health",
    (
        Panel(
            "Version",
            ((f"edge_agent_build_info{{{_HERE_ONLY}}}", "{{version}} {{bundle}} {{provider}}"),),
            "stat",
            width=6,
            height=4,
        ),
        Panel(
            "State not saved",
            ((f"edge_agent_state_degraded{{{_HERE_ONLY}}}", ""),),
            "stat",
            width=6,
            height=4,
            red_above=1,
        ),
        Panel(
            "Alerts waiting",
            ((f"edge_agent_alerts_waiting{{{_HERE_ONLY}}}", ""),),
            "stat",
            width=6,
            height=4,
            red_above=20,
        ),
        Panel(
            "Room on the disk", ((f"edge_agent_state_free_bytes{{{_HERE_ONLY}}}", ""),), "stat", "bytes", 6, 4
        ),
        Panel(
            "Messages by outcome",
            ((f"sum by (outcome) ({_rate('edge_agent_messages_total')})", "{{outcome}}"),),
            unit="reqps",
        ),
        Panel("Turned away, by reason", ((_rate("edge_agent_rejects_total"), "{{reason}}"),), unit="reqps"),
        Panel(
            "Share of windows scored",
            (("instance:edge_agent_scored:ratio_rate5m", "{{instance}}"),),
            unit="percentunit",
        ),
        Panel("Windows skipped, by reason", ((_rate("edge_agent_windows_skipped_total"), "{{reason}}"),)),
        Panel(
            "From arrival to decision",
            (
                (_p(0.5, "edge_agent_decision_seconds"), "median"),
                (_p(0.99, "edge_agent_decision_seconds"), "99 %"),
            ),
            unit="s",
        ),
        Panel(
            "Scoring and writing, 99 %",
            (
                (_p(0.99, "edge_agent_inference_seconds"), "scoring"),
                (_p(0.99, "edge_agent_commit_seconds"), "writing"),
            ),
            unit="s",
        ),
        Panel("Connections", ((f"edge_agent_broker_connected{{{_HERE_ONLY}}}", "{{client}}"),)),
        Panel(
            "Queue and outbox",
            (
                (f"edge_agent_queue_messages{{{_HERE_ONLY}}}", "queue"),
                (f"edge_agent_outbox_messages{{{_HERE_ONLY}}}", "outbox"),
            ),
        ),
        Panel("Processor", ((_rate("process_cpu_seconds_total"), "cores"),)),
        Panel("Memory", ((f"process_resident_memory_bytes{{{_HERE_ONLY}}}", "resident"),), unit="bytes"),
    ),
)
DASHBOARDS = (FLEET, MACHINE, AGENT)


def files() -> dict[str, str]:
    """Name of each file and what is in it."""
    return {f"{one.uid}.json": json.dumps(_dashboard(one), indent=2) + "\n" for one in DASHBOARDS}


def _dashboard(told: Dashboard) -> dict[str, Any]:
    panels, x, y, row_height = [], 0, 0, 0
    for number, panel in enumerate(told.panels, 1):
        if x + panel.width > _COLUMNS:
            x, y, row_height = 0, y + row_height, 0
        panels.append(
            _panel(panel, number) | {"gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height}}
        )
        x, row_height = x + panel.width, max(row_height, panel.height)
    chosen = [_variable("instance", 'label_values(up{job="edge-agent"}, instance)', label="Agent")]
    if told.by_machine:
        query = f"label_values(edge_agent_alarms_open{{{_HERE_ONLY}}}, machine)"
        chosen.append(_variable("machine", query, label="Machine"))
    return {
        "uid": told.uid,
        "title": told.title,
        "tags": ["edge-agent"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "10s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": chosen},
        "annotations": {"list": [_alarms(by_machine=told.by_machine)]},
        "panels": panels,
    }


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_above is not None:
        steps.append({"color": "red", "value": panel.red_above})
    instant = panel.kind != "timeseries"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": {},
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": SOURCE,
                "expr": expression,
                "legendFormat": legend or "__auto",
                "instant": instant,
                "range": not instant,
            }
            for at, (expression, legend) in enumerate(panel.queries)
        ],
    }


def _variable(name: str, query: str, *, label: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _alarms(*, by_machine: bool) -> dict[str, Any]:
    labels = _ONE if by_machine else _HERE_ONLY
    return {
        "name": "Alarms",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": f"edge_agent_alarms_open{{{labels}}} > 0",
        "titleFormat": "{{machine}}",
        "step": "10s",
    }


def main() -> int:
    """0 when written, or when all is as it should be."""
    check = "--check" in sys.argv[1:]
    wrong = []
    for name, text in files().items():
        path = HERE / name
        if check:
            wrong += [name] if not path.is_file() or path.read_text() != text else []
        else:
            path.write_text(text)
    if wrong:
        print("differs from what build.py says:", *wrong, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
