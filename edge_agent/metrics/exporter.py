"""Metrics and health pages: the only room that imports prometheus_client.

One table declares every series. Counters and gauges are read from a `Snapshot` that the service replaces after each
step, so that one scrape sees one consistent ledger; only the histograms live here.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from edge_agent.errors import UsageError
from edge_agent.metrics.drift_series import DRIFT_TABLE, Series, drift_samples
from edge_agent.metrics.histogram import Tally
from edge_agent.metrics.share_series import SHARE_TABLE, share_samples
from edge_agent.metrics.snapshot import Health, MachineSeries, OutboxSeries, Snapshot, StateSeries
from edge_agent.records import Ledger

MACHINES_LIMIT = 500
"""Machines with series of their own; the rest share `other`, lest a flood of topics fill Prometheus."""
OTHER = "other"
_FAST_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_DECISION_S = (0.005, 0.01, *(step / 40 for step in range(1, 9)), 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Close together around 150 ms: between edges far apart a quantile is a guess."""
_SLOW_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

TABLE: tuple[Series, ...] = (
    Series("edge_agent_messages_received_total", "counter", "Messages taken from the broker."),
    Series(
        "edge_agent_messages_total",
        "counter",
        "What became of them: accepted, duplicate, rejected, late or shed; they add up to those received.",
        ("outcome",),
    ),
    Series("edge_agent_rejects_total", "counter", "Messages turned away whole.", ("reason",)),
    Series("edge_agent_values_rejected_total", "counter", "Single values turned away.", ("reason",)),
    Series("edge_agent_queue_messages", "gauge", "Messages that wait in memory for the pipeline."),
    Series(
        "edge_agent_broker_wait_seconds", "gauge", "How long a message waits at the broker and in memory."
    ),
    Series(
        "edge_agent_heard_share", "gauge", "Of the machines, those heard at a time; below 1 in an overload."
    ),
    Series("edge_agent_sparkplug_total", "counter", "What the Sparkplug host counts.", ("what",)),
    Series("edge_agent_windows_scored_total", "counter", "Windows that were scored."),
    Series(
        "edge_agent_windows_skipped_total", "counter", "Windows that were due and not scored.", ("reason",)
    ),
    Series(
        "edge_agent_score_ratio", "gauge", "Latest score over threshold; above 1 is anomalous.", ("machine",)
    ),
    Series("edge_agent_score", "gauge", "Latest score.", ("machine",)),
    Series(
        "edge_agent_threshold", "gauge", "Score above which the machine counts as anomalous.", ("machine",)
    ),
    Series(
        "edge_agent_threshold_ratio",
        "gauge",
        "Threshold in use over the learnt one; it follows slow drift within bounds.",
        ("machine",),
    ),
    Series("edge_agent_rows", "gauge", "Rows heard of a machine that is still being learnt.", ("machine",)),
    Series(
        "edge_agent_machine_info", "gauge", "1 for the state that the machine is in.", ("machine", "state")
    ),
    Series("edge_agent_machines", "gauge", "Machines by state.", ("state",)),
    Series("edge_agent_alarms_open", "gauge", "1 while the machine has an open alarm.", ("machine",)),
    Series(
        "edge_agent_sensor_findings_open",
        "gauge",
        "Findings that hold about the machine's sensors.",
        ("machine",),
    ),
    Series(
        "edge_agent_data_timestamp_seconds",
        "gauge",
        "Time of the machine's latest row of data.",
        ("machine",),
    ),
    *DRIFT_TABLE,
    *SHARE_TABLE,
    Series("edge_agent_alarms_opened_total", "counter", "Alarms opened."),
    Series("edge_agent_alarms", "gauge", "Present alarms by state; one may be in several.", ("state",)),
    Series("edge_agent_alarms_held_total", "counter", "Alarms kept back by flood control."),
    Series("edge_agent_commands_total", "counter", "Commands by name and result.", ("command", "result")),
    Series("edge_agent_commands_dropped_total", "counter", "Commands dropped because too many waited."),
    Series(
        "edge_agent_alerts_sent_total", "counter", "Alert messages handed to the network, repeats included."
    ),
    Series("edge_agent_alerts_acknowledged_total", "counter", "Alert messages that the broker acknowledged."),
    Series(
        "edge_agent_alerts_made_total",
        "counter",
        "Alert messages to deliver: new ones, repeats, and those restored at start.",
    ),
    Series(
        "edge_agent_alerts_total",
        "counter",
        "What became of them: delivered, merged or dropped; with those that wait they add up to those made.",
        ("outcome",),
    ),
    Series("edge_agent_alerts_waiting", "gauge", "Alert messages that are not delivered yet."),
    Series("edge_agent_outbox_dropped_total", "counter", "Messages given up because too many waited."),
    Series("edge_agent_outbox_messages", "gauge", "Messages that are not delivered yet."),
    Series("edge_agent_outbox_bytes", "gauge", "Their size in memory, roughly."),
    Series("edge_agent_internal_errors_total", "counter", "Exceptions that were contained: bugs."),
    Series("edge_agent_state_degraded", "gauge", "1 while state cannot be written to disk."),
    Series("edge_agent_state_commits_total", "counter", "Transactions written to disk."),
    Series("edge_agent_state_failures_total", "counter", "Attempts to write state that failed."),
    Series("edge_agent_state_set_aside_total", "counter", "Corrupt databases set aside."),
    Series("edge_agent_state_bytes", "gauge", "Size of the database with its log."),
    Series("edge_agent_state_free_bytes", "gauge", "Room on the disk that holds the database."),
    Series("edge_agent_broker_connected", "gauge", "1 while the client is connected.", ("client",)),
    Series("edge_agent_broker_connects_total", "counter", "Connections accepted by the broker.", ("client",)),
    Series(
        "edge_agent_broker_hangups_total",
        "counter",
        "Connections that the agent ended because the broker broke the protocol.",
        ("client",),
    ),
    Series(
        "edge_agent_network_threads_replaced_total", "counter", "Dead network threads replaced.", ("client",)
    ),
    Series(
        "edge_agent_build_info",
        "info",
        "Version, model bundle and execution provider.",
        ("version", "bundle", "digest", "provider"),
    ),
    Series("edge_agent_reloads_total", "counter", "Requests to reload, by what became of them.", ("result",)),
    Series(
        "edge_agent_bundle_expires_timestamp_seconds",
        "gauge",
        "When the running bundle becomes too old; absent where it never does.",
    ),
    Series(
        "edge_agent_waveform_feature",
        "gauge",
        "Latest feature of fast samples; of 100 machines and 64 features each at most.",
        ("machine", "feature"),
    ),
    Series("edge_agent_step_seconds", "histogram", "Time of one step of the pipeline."),
    Series("edge_agent_inference_seconds", "histogram", "Time of one scoring call for all due windows."),
    Series(
        "edge_agent_decision_seconds", "histogram", "From the arrival of a message to the end of its step."
    ),
    Series("edge_agent_commit_seconds", "histogram", "Time to write one turn's changes to disk."),
    Series("edge_agent_commission_seconds", "histogram", "Time to learn one machine."),
)
_BY_NAME = {series.name: series for series in TABLE}
_OUTCOMES = ("accepted", "duplicate", "rejected", "late", "shed")


class Telemetry:
    """The metrics and their page."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self.health: Callable[[], Health] = Health
        self._registry = CollectorRegistry()
        self._registry.register(_SnapshotCollector(lambda: self.snapshot))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self.step_seconds = self._histogram("edge_agent_step_seconds", _FAST_S)
        self.inference_seconds = self._histogram("edge_agent_inference_seconds", _FAST_S)
        self.decision_seconds = Tally(_DECISION_S)
        self._registry.register(_TallyCollector("edge_agent_decision_seconds", self.decision_seconds))
        self.commit_seconds = self._histogram("edge_agent_commit_seconds", _FAST_S)
        self.commission_seconds = self._histogram("edge_agent_commission_seconds", (*_SLOW_S, 120.0))
        self._server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int | None:
        """The port of the page; None while it is not served."""
        return int(self._server.server_address[1]) if self._server else None

    def page(self) -> bytes:
        """The metrics in Prometheus' text form."""
        return generate_latest(self._registry)

    def serve(self, *, host: str, port: int) -> None:
        """Serve /metrics, /healthz and /readyz from a thread of its own; port 0 takes a free one.

        Raises:
            UsageError: the address is taken or not ours.
        """
        telemetry = self

        class Handler(_Handler):
            source = telemetry

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise UsageError(f"metrics page: cannot listen on {host}:{port} ({error.strerror})") from error
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, name="metrics-page", daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _histogram(self, name: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, _BY_NAME[name].help, registry=self._registry, buckets=buckets)


class _Handler(BaseHTTPRequestHandler):
    """Three pages and nothing else."""

    source: Telemetry
    timeout = 10

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, self.source.page(), CONTENT_TYPE_LATEST)
        elif path in {"/healthz", "/readyz"}:
            health = self.source.health()
            good = health.alive and (path == "/healthz" or not health.amiss)
            body = json.dumps({"ok": good, "amiss": list(health.amiss)}).encode()
            self._answer(200 if good else 503, body, "application/json")
        else:
            self._answer(404, b"/metrics /healthz /readyz\n", "text/plain")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
        """Say nothing: scrapes are no news."""


class _TallyCollector:
    """Shows a tally as the histogram that it is."""

    def __init__(self, name: str, tally: Tally) -> None:
        self._name, self._tally = name, tally

    def collect(self) -> Iterator[Metric]:
        yield HistogramMetricFamily(
            self._name, _BY_NAME[self._name].help, buckets=self._tally.buckets(), sum_value=self._tally.total
        )


class _SnapshotCollector:
    """Turns the latest snapshot into series, at the moment of the scrape."""

    def __init__(self, latest: Callable[[], Snapshot]) -> None:
        self._latest = latest

    def collect(self) -> Iterator[Metric]:
        """All series of the table but the histograms."""
        snapshot = self._latest()
        samples = {**_ledger_samples(snapshot.ledger), **_machine_samples(snapshot.machines)}
        samples |= {**_broker_samples(snapshot), **_state_samples(snapshot.alerts, snapshot.state)}
        samples |= share_samples(snapshot.share)
        for series in TABLE:
            if series.kind != "histogram":
                yield _family(series, samples.get(series.name, ()))


_Samples = Mapping[str, Iterable[tuple[tuple[str, ...], float]]]


def _ledger_samples(ledger: Ledger) -> _Samples:
    rejected = sum(ledger.rejected.values())
    amounts = (ledger.accepted, ledger.duplicate, rejected, ledger.late, ledger.shed)
    return {
        "edge_agent_messages_received_total": [((), ledger.received)],
        "edge_agent_messages_total": [
            ((outcome,), amount) for outcome, amount in zip(_OUTCOMES, amounts, strict=True)
        ],
        "edge_agent_rejects_total": [((reason,), count) for reason, count in ledger.rejected.items()],
        "edge_agent_values_rejected_total": [((reason,), n) for reason, n in ledger.values_rejected.items()],
        "edge_agent_windows_scored_total": [((), ledger.windows_scored)],
        "edge_agent_windows_skipped_total": [
            ((reason,), n) for reason, n in ({"internal_error": 0} | ledger.windows_skipped).items()
        ],
    }


def _machine_samples(machines: Mapping[str, MachineSeries]) -> _Samples:
    """Series of each machine up to the limit; counts of the others, whose figures have no meaning together."""
    shown = dict(list(machines.items())[:MACHINES_LIMIT])
    hidden = list(machines.values())[MACHINES_LIMIT:]
    states: dict[str, int] = {}
    for machine in machines.values():
        states[machine.state] = states.get(machine.state, 0) + 1
    scored = {name: m for name, m in shown.items() if m.score is not None and m.threshold}
    opened = [((name,), float(m.alarm_open)) for name, m in shown.items()]
    if hidden:
        opened.append(((OTHER,), float(sum(m.alarm_open for m in hidden))))
    return {
        "edge_agent_score": [((name,), m.score or 0.0) for name, m in scored.items()],
        "edge_agent_score_ratio": [
            ((name,), (m.score or 0.0) / (m.threshold or 1.0)) for name, m in scored.items()
        ],
        "edge_agent_threshold": [
            ((name,), m.threshold) for name, m in shown.items() if m.threshold is not None
        ],
        "edge_agent_threshold_ratio": [
            ((name,), m.threshold_ratio) for name, m in shown.items() if m.threshold_ratio is not None
        ],
        "edge_agent_rows": [((name,), m.rows) for name, m in shown.items() if m.state != "ready"],
        "edge_agent_machine_info": [((name, m.state), 1.0) for name, m in shown.items()],
        "edge_agent_machines": [((state,), count) for state, count in states.items()],
        "edge_agent_alarms_open": opened,
        "edge_agent_sensor_findings_open": [((name,), m.findings_open) for name, m in shown.items()],
        "edge_agent_data_timestamp_seconds": [
            ((name,), m.data_s) for name, m in shown.items() if m.data_s is not None
        ],
        **drift_samples(shown),
    }


def _broker_samples(snapshot: Snapshot) -> _Samples:
    links = snapshot.links.items()
    return {
        "edge_agent_queue_messages": [((), snapshot.queued)],
        "edge_agent_broker_wait_seconds": [((), snapshot.wait_s)],
        "edge_agent_heard_share": [((), snapshot.heard_share)],
        "edge_agent_alarms_opened_total": [((), snapshot.alarms_opened)],
        "edge_agent_alarms": [((state,), count) for state, count in snapshot.control.states.items()],
        "edge_agent_alarms_held_total": [((), snapshot.control.held)],
        "edge_agent_commands_total": list(snapshot.control.commands.items()),
        "edge_agent_commands_dropped_total": [((), snapshot.control.dropped)],
        "edge_agent_alerts_sent_total": [((), snapshot.alerts_sent)],
        "edge_agent_alerts_acknowledged_total": [((), snapshot.alerts_acknowledged)],
        "edge_agent_internal_errors_total": [((), snapshot.internal_errors)],
        "edge_agent_broker_connected": [((name,), float(link.connected)) for name, link in links],
        "edge_agent_broker_connects_total": [((name,), link.connects) for name, link in links],
        "edge_agent_broker_hangups_total": [((name,), link.hung_up) for name, link in links],
        "edge_agent_network_threads_replaced_total": [((name,), link.replaced) for name, link in links],
        "edge_agent_build_info": [(snapshot.build, 1.0)],
        "edge_agent_sparkplug_total": [((what,), n) for what, n in snapshot.sparkplug.items()],
        "edge_agent_waveform_feature": list(snapshot.waveforms.items()),
        "edge_agent_reloads_total": [((result,), count) for result, count in snapshot.reloads.items()],
        "edge_agent_bundle_expires_timestamp_seconds": [
            ((), expires_s) for expires_s in [snapshot.bundle_expires_s] if expires_s is not None
        ],
    }


def _state_samples(alerts: OutboxSeries, state: StateSeries) -> _Samples:
    return {
        "edge_agent_alerts_made_total": [((), alerts.made)],
        "edge_agent_alerts_total": [
            (("delivered",), alerts.delivered),
            (("merged",), alerts.merged),
            (("dropped",), alerts.dropped),
        ],
        "edge_agent_alerts_waiting": [((), alerts.waiting)],
        "edge_agent_outbox_dropped_total": [((), alerts.all_dropped)],
        "edge_agent_outbox_messages": [((), alerts.messages)],
        "edge_agent_outbox_bytes": [((), alerts.bytes)],
        "edge_agent_state_degraded": [((), float(state.degraded))],
        "edge_agent_state_commits_total": [((), state.commits)],
        "edge_agent_state_failures_total": [((), state.failures)],
        "edge_agent_state_set_aside_total": [((), state.set_aside)],
        "edge_agent_state_bytes": [((), state.bytes)],
        "edge_agent_state_free_bytes": [((), free) for free in [state.free_bytes] if free is not None],
    }


def _family(series: Series, samples: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    kind = CounterMetricFamily if series.kind == "counter" else GaugeMetricFamily
    family = kind(series.name, series.help, labels=series.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family
