"""From the agent's snapshot to the series of the table, at the moment of the scrape. Keeps nothing, counts nothing.

A function for each part of the snapshot gives its series as labels and values; a series that is absent stays out.
"""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import HistogramMetricFamily, Metric

from edge_agent.metrics.histogram import BatchHistogram
from edge_agent.metrics.series import BY_NAME
from edge_agent.metrics.snapshot import (
    AlarmSeries,
    HistorySeries,
    MachineSeries,
    NotifySeries,
    OutboxSeries,
    ShareSeries,
    Snapshot,
    StateSeries,
)
from edge_agent.records import Ledger

MACHINES_LIMIT = 500
"""Machines with series of their own; the rest share `other`, lest a flood of topics fill Prometheus."""
OTHER = "other"
ALARMS_LIMIT = 100
"""Alarms with series of their channels: five names each, which come and go with the alarm."""
CHANNELS_LIMIT = 5
_YES_NO = {True: "yes", False: "no"}
_OUTCOMES = ("accepted", "duplicate", "rejected", "late", "shed")
_DRIFT = {
    "edge_agent_input_drift": "input_drift",
    "edge_agent_score_drift": "score_drift",
    "edge_agent_scored_share": "scored_share",
    "edge_agent_learnt_timestamp_seconds": "learnt_s",
    "edge_agent_budget_per_week": "budget_per_week",
    "edge_agent_budget_spent": "budget_spent",
    "edge_agent_budget_expected_per_week": "budget_expected",
}
_SHARE = {
    "edge_agent_foreign_messages_total": "foreign",
    "edge_agent_share_active": "active",
    "edge_agent_share_members": "members",
    "edge_agent_profiles_handed_total": "handed",
    "edge_agent_profiles_refused_total": "refused",
}


class HistogramCollector:
    """Shows a histogram that counts by batches."""

    def __init__(self, name: str, counts: BatchHistogram) -> None:
        self._name, self._counts = name, counts

    def collect(self) -> Iterator[Metric]:
        """The one histogram."""
        yield HistogramMetricFamily(
            self._name, BY_NAME[self._name].help, buckets=self._counts.buckets(), sum_value=self._counts.total
        )


Samples = Mapping[str, Iterable[tuple[tuple[str, ...], float]]]
"""Of each series, label values in the order of its table's row, and the value."""


def samples_of(snapshot: Snapshot) -> Samples:
    """All series of the table but the histograms; one that is absent has nothing to show."""
    samples = {**_ledger_samples(snapshot.ledger), **_machine_samples(snapshot.machines)}
    samples |= {**_broker_samples(snapshot), **_state_samples(snapshot.alerts, snapshot.state)}
    samples |= {**_share_samples(snapshot.share), **_history_samples(snapshot.history)}
    samples |= _notify_samples(snapshot.notify)
    return samples | {"edge_agent_cycles_total": [((outcome,), n) for outcome, n in snapshot.cycles.items()]}


def _ledger_samples(ledger: Ledger) -> Samples:
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


def _machine_samples(machines: Mapping[str, MachineSeries]) -> Samples:
    """Series of each machine up to the limit; counts of the others, whose figures have no meaning together.

    Those that are not learnt come last, so that invented machines take no learnt one's series.
    """
    listed = sorted(machines, key=lambda name: machines[name].state in ("commissioning", "learning"))
    shown = {name: machines[name] for name in listed[:MACHINES_LIMIT]}
    hidden = [machines[name] for name in listed[MACHINES_LIMIT:]]
    states: dict[str, int] = {}
    for machine in machines.values():
        states[machine.state] = states.get(machine.state, 0) + 1
    scored = {name: m for name, m in shown.items() if m.score is not None and m.threshold}
    opened = [((name,), float(m.alarm_open)) for name, m in shown.items()]
    unsettled = [((name,), float(m.unsettled)) for name, m in shown.items()]
    unwatched = [((name,), float(m.unwatched)) for name, m in shown.items()]
    if hidden:
        opened.append(((OTHER,), float(sum(m.alarm_open for m in hidden))))
        unsettled.append(((OTHER,), float(sum(m.unsettled for m in hidden))))
        unwatched.append(((OTHER,), float(sum(m.unwatched for m in hidden))))
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
        "edge_agent_alarms_unsettled": unsettled,
        "edge_agent_sensor_findings_open": [((name,), m.findings_open) for name, m in shown.items()],
        "edge_agent_notices_open": [((name,), m.notices_open) for name, m in shown.items()],
        "edge_agent_unwatched": unwatched,
        "edge_agent_turned_away": [((name,), 1.0) for name, m in shown.items() if m.turned_away],
        "edge_agent_reports_changes": [((name,), 1.0) for name, m in shown.items() if m.by_exception],
        "edge_agent_data_timestamp_seconds": [
            ((name,), m.data_s) for name, m in shown.items() if m.data_s is not None
        ],
        **_drift_samples(shown),
        **_alarm_samples({name: m.alarm for name, m in shown.items() if m.alarm is not None}),
    }


def _alarm_samples(alarms: Mapping[str, AlarmSeries]) -> Samples:
    """What each present alarm is, and the channels that carry it; two channels of one name are one series."""
    carried = {
        (name, channel): share
        for name, alarm in [*alarms.items()][:ALARMS_LIMIT]
        for channel, share in alarm.channels[:CHANNELS_LIMIT]
    }
    return {
        "edge_agent_alarm_info": [
            ((name, one.fault, one.severity, _YES_NO[one.acknowledged], _YES_NO[one.shelved]), 1.0)
            for name, one in alarms.items()
        ],
        "edge_agent_alarm_channel_share": list(carried.items()),
    }


def _drift_samples(machines: Mapping[str, MachineSeries]) -> Samples:
    """How far each machine is from what was learnt, where something can be said."""
    return {
        name: [
            ((machine,), value)
            for machine, series in machines.items()
            if (value := getattr(series, field)) is not None
        ]
        for name, field in _DRIFT.items()
    }


def _share_samples(share: ShareSeries | None) -> Samples:
    """What is told of a group of agents; nothing where no machines are shared."""
    if share is None:
        return {}
    return {name: [((), float(getattr(share, field)))] for name, field in _SHARE.items()}


def _broker_samples(snapshot: Snapshot) -> Samples:
    connections = snapshot.connections.items()
    return {
        "edge_agent_queue_messages": [((), snapshot.queued)],
        "edge_agent_broker_wait_seconds": [((), snapshot.wait_s)],
        "edge_agent_heard_share": [((), snapshot.heard_share)],
        "edge_agent_alarms_opened_total": [((), snapshot.alarms_opened)],
        "edge_agent_alarms": [((state,), count) for state, count in snapshot.alarm_manager.states.items()],
        "edge_agent_alarms_held_total": [((), snapshot.alarm_manager.held)],
        "edge_agent_commands_total": list(snapshot.alarm_manager.commands.items()),
        "edge_agent_commands_dropped_total": [((), snapshot.alarm_manager.dropped)],
        "edge_agent_alerts_sent_total": [((), snapshot.alerts_sent)],
        "edge_agent_alerts_acknowledged_total": [((), snapshot.alerts_acknowledged)],
        "edge_agent_internal_errors_total": [((), snapshot.internal_errors)],
        "edge_agent_machines_gave_way_total": [((), snapshot.gave_way)],
        "edge_agent_broker_connected": [
            ((name,), float(connection.connected)) for name, connection in connections
        ],
        "edge_agent_broker_connects_total": [
            ((name,), connection.connects) for name, connection in connections
        ],
        "edge_agent_broker_hangups_total": [
            ((name,), connection.hung_up) for name, connection in connections
        ],
        "edge_agent_network_threads_replaced_total": [
            ((name,), connection.replaced) for name, connection in connections
        ],
        "edge_agent_build_info": [(snapshot.build, 1.0)],
        "edge_agent_sparkplug_total": [((what,), n) for what, n in snapshot.sparkplug.items()],
        "edge_agent_waveform_feature": list(snapshot.waveforms.items()),
        "edge_agent_reloads_total": [((result,), count) for result, count in snapshot.reloads.items()],
        "edge_agent_bundle_expires_timestamp_seconds": [
            ((), expires_s) for expires_s in [snapshot.bundle_expires_s] if expires_s is not None
        ],
    }


def _state_samples(alerts: OutboxSeries, state: StateSeries) -> Samples:
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


def _history_samples(history: HistorySeries) -> Samples:
    return {
        "edge_agent_history_degraded": [((), float(history.degraded))],
        "edge_agent_history_waiting": [((), history.waiting)],
        "edge_agent_history_dropped_total": [
            (("not_writable",), history.dropped),
            (("no_room",), history.crowded_out),
        ],
        "edge_agent_history_rows_passed_over_total": [((), history.rows_passed_over)],
        "edge_agent_history_written_total": [((), history.written)],
        "edge_agent_history_failures_total": [((), history.failures)],
        "edge_agent_history_set_aside_total": [((), history.set_aside)],
        "edge_agent_history_bytes": [((), history.bytes)],
    }


def _notify_samples(rules: Mapping[str, NotifySeries]) -> Samples:
    """What became of the messages to people; nothing where nobody is called."""
    return {
        "edge_agent_calls_made_total": [((name,), one.made) for name, one in rules.items()],
        "edge_agent_calls_total": [
            ((name, outcome), float(getattr(one, outcome)))
            for name, one in rules.items()
            for outcome in ("confirmed", "given_up")
        ],
        "edge_agent_calls_waiting": [((name,), one.waiting) for name, one in rules.items()],
        "edge_agent_call_failures_total": [((name,), one.failures) for name, one in rules.items()],
    }
