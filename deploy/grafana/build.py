"""Writes the dashboards for Grafana; `--check` says whether those in the repository are these. Starts nothing.

python deploy/grafana/build.py [--check]
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from boards import DASHBOARDS, HERE_ONLY, ONE, Dashboard, Panel

HERE = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "edge-agent-prometheus"}
_COLUMNS = 24
_TO_MACHINE = (
    "/d/edge-agent-machine?var-instance=${__field.labels.instance}"
    "&var-machine=${__field.labels.machine:percentencode}&${__url_time_range}"
)
_SHAPES: dict[str, dict[str, Any]] = {
    "line": {"lineWidth": 1, "fillOpacity": 0},
    "step": {"lineInterpolation": "stepAfter", "lineWidth": 1, "fillOpacity": 0},
    "pile": {
        "lineInterpolation": "stepAfter",
        "lineWidth": 0,
        "fillOpacity": 60,
        "showPoints": "never",
        "stacking": {"mode": "normal", "group": "A"},
    },
}


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
    agents = 'label_values(up{job="edge-agent"}, instance)'
    chosen = [_variable("instance", agents, label="Agent", every=told.every_agent)]
    if told.by_machine:
        query = f"label_values(edge_agent_alarms_open{{{HERE_ONLY}}}, machine)"
        chosen.append(_variable("machine", query, label="Machine", every=False))
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
    instant = panel.kind != "timeseries"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _options(panel),
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


def _defaults(panel: Panel) -> dict[str, Any]:
    """How every value of a panel is shown."""
    below, above = ("red", "green") if panel.green_above is not None else ("green", "red")
    limit = panel.red_above if panel.green_above is None else panel.green_above
    steps: list[dict[str, Any]] = [{"color": below, "value": None}]
    steps += [] if limit is None else [{"color": above, "value": limit}]
    told: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    bounds = {"min": panel.low, "max": panel.high, "decimals": panel.decimals}
    told |= {name: value for name, value in bounds.items() if value is not None}
    if panel.empty:
        told["noValue"] = panel.empty
    if panel.leads:
        told["links"] = [{"title": "To this machine", "url": _TO_MACHINE, "targetBlank": False}]
    if panel.words:
        named = {str(value): {"text": text, "index": at} for at, (value, text) in enumerate(panel.words)}
        told["mappings"] = [{"type": "value", "options": named}]
    if panel.kind == "timeseries":
        line = {"thresholdsStyle": {"mode": "dashed"}} if limit is not None else {}
        room = {} if panel.room_to is None else {"axisSoftMax": panel.room_to}
        told["custom"] = _SHAPES[panel.shape] | line | room
    return told


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    if not panel.red_dashes:
        return []
    properties = [
        {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}},
        {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}},
        {"id": "custom.showPoints", "value": "never"},
    ]
    return [{"matcher": {"id": "byName", "options": panel.red_dashes}, "properties": properties}]


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {"textMode": "name" if panel.named else "auto"}
    return {"orientation": "horizontal"} if panel.kind == "bargauge" else {}


def _variable(name: str, query: str, *, label: str, every: bool) -> dict[str, Any]:
    """What people choose: all unless told (`every`), or always one, at first the first."""
    told = {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "includeAll": every,
    }
    return told | {"allValue": ".*", "current": {"text": "All", "value": "$__all"}} if every else told


def _alarms(*, by_machine: bool) -> dict[str, Any]:
    labels = ONE if by_machine else HERE_ONLY
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
