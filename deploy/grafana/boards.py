"""What is on the dashboards: panels, their queries and how they are read. `build.py` writes it as Grafana has it."""

from dataclasses import dataclass

HERE_ONLY = 'instance=~"$instance"'
ONE = 'instance=~"$instance", machine="$machine"'
_NO_YES = ((0, "no"), (1, "yes"))


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `queries` are PromQL with the words of their legends.

    Attributes:
        words: What is shown in place of a value.
        empty: What is shown where a query yields nothing and nothing is wrong.
        named: Whether the legend's words are shown in place of the value.
        room_to: Up to where a graph reaches at least.
        shape: Of lines: line, step, or pile (steps upon each other).
        red_dashes: The legend's words of a line that others are compared with.
        leads: Whether a click on a value leads to its machine's dashboard; its query keeps `instance` and `machine`.
    """

    title: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 12
    height: int = 8
    about: str = ""
    red_above: float | None = None
    green_above: float | None = None
    low: float | None = None
    high: float | None = None
    room_to: float | None = None
    decimals: int | None = None
    words: tuple[tuple[int, str], ...] = ()
    empty: str = ""
    named: bool = False
    shape: str = "line"
    red_dashes: str = ""
    leads: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard; `by_machine` lets people choose a machine, `every_agent` see all agents at once."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    by_machine: bool = False
    every_agent: bool = True


def _rate(series: str, labels: str = HERE_ONLY) -> str:
    return f"rate({series}{{{labels}}}[$__rate_interval])"


def _p(quantile: float, series: str) -> str:
    buckets = f"sum by (instance, le) ({_rate(series + '_bucket')})"
    return f"histogram_quantile({quantile}, {buckets})"


def _stat(title: str, query: str, legend: str = "", **more: object) -> Panel:
    """A small number at the top."""
    return Panel(title, ((query, legend),), "stat", **{"width": 6, "height": 4, **more})  # type: ignore[arg-type]


_SCORED = f"sum by (instance) ({_rate('edge_agent_windows_scored_total')})"
_SKIPPED = f"sum by (instance) ({_rate('edge_agent_windows_skipped_total')})"

FLEET = Dashboard(
    "edge-agent-fleet",
    "Edge agent: fleet",
    (
        _stat("Open alarms", f"sum(edge_agent_alarms_open{{{HERE_ONLY}}}) or vector(0)", red_above=1),
        _stat(
            "Sensor findings",
            f"sum(edge_agent_sensor_findings_open{{{HERE_ONLY}}}) or vector(0)",
            red_above=1,
        ),
        _stat(
            "Machines",
            f"sum by (state) (edge_agent_machines{{{HERE_ONLY}}})",
            "{{state}}",
            empty="none heard of yet",
        ),
        _stat("Agents that answer", 'sum(up{job="edge-agent"}) or vector(0)', green_above=1),
        Panel(
            "Nearest to an alarm: score over threshold",
            ((f"topk(10, edge_agent_score_ratio{{{HERE_ONLY}}})", "{{machine}}"),),
            "bargauge",
            about="A full bar is twice the threshold, or more.",
            red_above=1,
            low=0,
            high=2,
            decimals=2,
            empty="no machine is learnt yet",
            leads=True,
        ),
        Panel(
            "Open alarms: machine, fault, how grave",
            (
                (
                    f"edge_agent_alarm_info{{{HERE_ONLY}}}",
                    "{{machine}}: {{fault}}, {{severity}}, seen {{acknowledged}}, shelved {{shelved}}",
                ),
            ),
            "stat",
            about="One for each present alarm, with whether somebody has seen it and whether calls are put off.",
            empty="no alarm is open",
            named=True,
            leads=True,
        ),
        Panel(
            "Open alarms by machine",
            ((f"edge_agent_alarms_open{{{HERE_ONLY}}}", "{{machine}}"),),
            low=0,
            room_to=1,
            decimals=0,
            shape="pile",
            empty="no machine heard of yet",
            leads=True,
        ),
        Panel(
            "Age of each machine's data",
            ((f"time() - edge_agent_data_timestamp_seconds{{{HERE_ONLY}}}", "{{machine}}"),),
            unit="s",
            low=0,
            room_to=10,
            empty="no machine heard of yet",
            leads=True,
        ),
        Panel(
            "Messages",
            ((f"sum by (instance) ({_rate('edge_agent_messages_received_total')})", "{{instance}}"),),
            unit="mps",
            low=0,
        ),
    ),
)
MACHINE = Dashboard(
    "edge-agent-machine",
    "Edge agent: machine",
    (
        _stat("Alarm open", f"edge_agent_alarms_open{{{ONE}}}", red_above=1, words=_NO_YES),
        _stat("Sensor findings", f"edge_agent_sensor_findings_open{{{ONE}}}", red_above=1),
        _stat("State", f"edge_agent_machine_info{{{ONE}}}", "{{state}}", named=True),
        _stat("Age of data", f"time() - edge_agent_data_timestamp_seconds{{{ONE}}}", unit="s"),
        Panel(
            "Score and threshold",
            ((f"edge_agent_score{{{ONE}}}", "score"), (f"edge_agent_threshold{{{ONE}}}", "threshold")),
            width=24,
            height=10,
            low=0,
            room_to=1.2,
            red_dashes="threshold",
            empty="not learnt yet",
        ),
        Panel(
            "Channels that carry the open alarm",
            ((f"edge_agent_alarm_channel_share{{{ONE}}}", "{{channel}}"),),
            "bargauge",
            about="Share of the score of the five that carry it most.",
            unit="percentunit",
            low=0,
            high=1,
            empty="no alarm is open",
        ),
        Panel(
            "Budget: alarms of the last seven days, and how many may be false",
            (
                (f"edge_agent_budget_spent{{{ONE}}}", "spent"),
                (f"edge_agent_budget_per_week{{{ONE}}}", "budget"),
            ),
            low=0,
            room_to=1.2,
            shape="step",
            red_dashes="budget",
            empty="not learnt yet",
        ),
        Panel(
            "Drift: score over threshold, now and the median of an hour",
            (
                (f"edge_agent_score_ratio{{{ONE}}}", "now"),
                (f"machine:edge_agent_score_ratio:median1h{{{ONE}}}", "median of an hour"),
            ),
            red_above=1,
            low=0,
            room_to=1.2,
            empty="not learnt yet",
        ),
        Panel(
            "Drift: threshold over the learnt one",
            ((f"edge_agent_threshold_ratio{{{ONE}}}", "ratio"),),
            red_above=1.4,
            low=0,
            room_to=1.6,
            empty="not learnt yet",
        ),
        Panel(
            "Drift: values and calm scores against those learnt (PSI)",
            (
                (f"edge_agent_input_drift{{{ONE}}}", "values, the channel that moved most"),
                (f"edge_agent_score_drift{{{ONE}}}", "calm scores"),
            ),
            red_above=2,
            low=0,
            room_to=2.2,
            empty="too little heard since it was learnt",
        ),
        _stat(
            "Share of the last day that was scored",
            f"edge_agent_scored_share{{{ONE}}}",
            unit="percentunit",
            height=8,
            empty="not learnt yet",
        ),
        _stat(
            "Age of what was learnt",
            f"time() - edge_agent_learnt_timestamp_seconds{{{ONE}}}",
            unit="s",
            height=8,
            empty="not learnt yet",
        ),
    ),
    by_machine=True,
)
AGENT = Dashboard(
    "edge-agent-health",
    "Edge agent: health",
    (
        _stat(
            "Version and model",
            f"edge_agent_build_info{{{HERE_ONLY}}}",
            "{{version}} {{bundle}} {{provider}}",
            named=True,
        ),
        _stat("State not saved", f"edge_agent_state_degraded{{{HERE_ONLY}}}", red_above=1, words=_NO_YES),
        _stat("Alerts waiting", f"edge_agent_alerts_waiting{{{HERE_ONLY}}}", red_above=20),
        _stat("Room on the disk", f"edge_agent_state_free_bytes{{{HERE_ONLY}}}", unit="bytes"),
        Panel(
            "Messages by outcome",
            ((f"sum by (outcome) ({_rate('edge_agent_messages_total')})", "{{outcome}}"),),
            unit="mps",
            low=0,
        ),
        Panel(
            "Turned away, by reason",
            ((_rate("edge_agent_rejects_total"), "{{reason}}"),),
            unit="mps",
            low=0,
            room_to=0.1,
            empty="nothing was turned away",
        ),
        Panel(
            "Share of due windows that were not scored",
            ((f"{_SKIPPED} / clamp_min({_SCORED} + {_SKIPPED}, 1e-9)", "not scored"),),
            about="0 % also while no window is due, as when machines rest.",
            unit="percentunit",
            low=0,
            room_to=0.1,
        ),
        Panel(
            "Windows skipped, by reason",
            ((_rate("edge_agent_windows_skipped_total"), "{{reason}}"),),
            unit="suffix:/s",
            low=0,
            room_to=1,
        ),
        Panel(
            "From arrival to decision, and the wait before it",
            (
                (_p(0.5, "edge_agent_decision_seconds"), "median"),
                (_p(0.99, "edge_agent_decision_seconds"), "99 %"),
                (f"edge_agent_broker_wait_seconds{{{HERE_ONLY}}}", "wait at the broker"),
            ),
            unit="s",
            low=0,
        ),
        Panel(
            "Scoring and writing, 99 %",
            (
                (_p(0.99, "edge_agent_inference_seconds"), "scoring"),
                (_p(0.99, "edge_agent_commit_seconds"), "writing"),
            ),
            unit="s",
            low=0,
        ),
        Panel(
            "Connections",
            ((f"edge_agent_broker_connected{{{HERE_ONLY}}}", "{{client}}"),),
            low=0,
            high=1,
            decimals=0,
            words=((0, "lost"), (1, "connected")),
            shape="step",
        ),
        Panel(
            "Queue and outbox",
            (
                (f"edge_agent_queue_messages{{{HERE_ONLY}}}", "queue"),
                (f"edge_agent_outbox_messages{{{HERE_ONLY}}}", "outbox"),
            ),
            low=0,
            room_to=10,
            decimals=0,
        ),
        Panel("Processor", ((_rate("process_cpu_seconds_total"), "cores"),), low=0),
        Panel(
            "Memory",
            ((f"process_resident_memory_bytes{{{HERE_ONLY}}}", "resident"),),
            unit="bytes",
            low=0,
        ),
    ),
    every_agent=False,
)
DASHBOARDS = (FLEET, MACHINE, AGENT)
