"""What is recorded and what is alerted on, as data; `build.py` writes it for Prometheus. Nothing here runs anywhere."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning", "info"]
Duration = Callable[[int], str]
"""Seconds to Prometheus' notation; a test shortens them."""

MINUTE, HOUR, DAY = 60, 3600, 86_400
MACHINE = "{{ $labels.machine }}"
AGENT = "{{ $labels.instance }}"


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that is worked out before anybody asks; `level:metric:operation` is Prometheus' convention."""

    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule.

    Attributes:
        expression: PromQL; `<300>` stands for a range of so many seconds.
        hold_s: true for so long before it is said.
        runbook: page in docs/runbooks.
        about: a sentence with the value, for the one who is called.
    """

    name: str
    expression: str
    hold_s: int
    severity: Severity
    summary: str
    about: str
    runbook: str


RECORDINGS = (
    Recording(
        "instance:edge_agent_messages:rate5m",
        "sum by (instance) (rate(edge_agent_messages_received_total[<300>]))",
    ),
    Recording(
        "instance_outcome:edge_agent_messages:rate5m",
        "sum by (instance, outcome) (rate(edge_agent_messages_total[<300>]))",
    ),
    Recording(
        "instance:edge_agent_rejected:ratio_rate5m",
        'sum by (instance) (rate(edge_agent_messages_total{outcome="rejected"}[<300>]))'
        " / (sum by (instance) (rate(edge_agent_messages_received_total[<300>])) > 0)",
    ),
    Recording(
        "instance:edge_agent_windows_scored:rate5m",
        "sum by (instance) (rate(edge_agent_windows_scored_total[<300>]))",
    ),
    Recording(
        "instance:edge_agent_scored:ratio_rate5m",
        "sum by (instance) (rate(edge_agent_windows_scored_total[<300>]))"
        " / ((sum by (instance) (rate(edge_agent_windows_scored_total[<300>]))"
        " + (sum by (instance) (rate(edge_agent_windows_skipped_total[<300>]))"
        " or 0 * sum by (instance) (rate(edge_agent_windows_scored_total[<300>])))) > 0)",
    ),
    Recording(
        "instance:edge_agent_decision_seconds:p99_5m",
        "histogram_quantile(0.99, sum by (instance, le) (rate(edge_agent_decision_seconds_bucket[<300>])))",
    ),
    Recording(
        "machine:edge_agent_score_ratio:median1h", "quantile_over_time(0.5, edge_agent_score_ratio[<3600>])"
    ),
)

ALERTS = (
    Alert(
        "EdgeAgentMachineAlarm",
        "edge_agent_alarms_open > 0",
        0,
        "critical",
        f"{MACHINE} behaves unusually",
        f"The agent {AGENT} holds an open alarm for {MACHINE}. The evidence is on its page and in its MQTT alert.",
        "machine-alarm",
    ),
    Alert(
        "EdgeAgentSensorFinding",
        "edge_agent_sensor_findings_open > 0",
        MINUTE,
        "warning",
        f"{MACHINE}: {{{{ $value }}}} finding(s) about sensors",
        "A sensor is stuck, missing, out of range or in another unit. The machine is judged without it.",
        "sensor-finding",
    ),
    Alert(
        "EdgeAgentMachineSilent",
        "time() - edge_agent_data_timestamp_seconds > 900",
        5 * MINUTE,
        "warning",
        f"No data from {MACHINE}",
        f"The latest row of {MACHINE} is {{{{ $value | humanizeDuration }}}} old: nobody watches this machine.",
        "machine-silent",
    ),
    Alert(
        "EdgeAgentMachineNotLearnt",
        'edge_agent_machine_info{state="failed"} == 1',
        5 * MINUTE,
        "warning",
        f"{MACHINE} could not be learnt",
        f"{MACHINE} is not watched. The agent's status message says why.",
        "machine-not-learnt",
    ),
    Alert(
        "EdgeAgentDown",
        'up{job="edge-agent"} == 0',
        2 * MINUTE,
        "critical",
        f"The agent {AGENT} does not answer",
        "Its metrics page cannot be read: agent, computer or network between is down. Machines are not watched.",
        "agent-down",
    ),
    Alert(
        "EdgeAgentBrokerLost",
        "edge_agent_broker_connected == 0",
        MINUTE,
        "critical",
        f"{AGENT} has no connection to the broker ({{{{ $labels.client }}}})",
        "The client ingest brings data, egress takes alerts away: no machine is watched, or nobody is told.",
        "broker-lost",
    ),
    Alert(
        "EdgeAgentNoData",
        "rate(edge_agent_messages_received_total[<300>]) == 0",
        5 * MINUTE,
        "critical",
        f"{AGENT} hears nothing",
        "Not one message came from the broker for five minutes: gateways, topics or permissions.",
        "no-data",
    ),
    Alert(
        "EdgeAgentDegraded",
        "max_over_time(edge_agent_state_degraded[<60>]) == 1",
        MINUTE,
        "critical",
        f"{AGENT} cannot save its state",
        "The disk is full, read-only or broken. The agent works from memory; a crash would now cost it.",
        "degraded",
    ),
    Alert(
        "EdgeAgentDiskFilling",
        "edge_agent_state_free_bytes < 2 * edge_agent_state_bytes or edge_agent_state_free_bytes < 200e6",
        10 * MINUTE,
        "warning",
        f"{AGENT}: {{{{ $value | humanize1024 }}}}B left on the state's disk",
        "When nothing is left the agent goes on from memory and loses what it cannot write.",
        "disk",
    ),
    Alert(
        "EdgeAgentStateCorrupt",
        "increase(edge_agent_state_set_aside_total[<3600>]) > 0",
        0,
        "warning",
        f"{AGENT} set a corrupt database aside",
        "It began a new one. Learnt machines are kept apart in files, open alarms of the old one are forgotten.",
        "state-corrupt",
    ),
    Alert(
        "EdgeAgentShedding",
        'increase(edge_agent_messages_total{outcome="shed"}[<300>]) > 0',
        0,
        "warning",
        f"{AGENT} drops messages",
        "{{ $value | humanize }} messages were shed in five minutes: more comes than this computer can judge in time.",
        "shedding",
    ),
    Alert(
        "EdgeAgentRejectsRising",
        "instance:edge_agent_rejected:ratio_rate5m > 0.05",
        5 * MINUTE,
        "warning",
        f"{AGENT} turns {{{{ $value | humanizePercentage }}}} of the messages away",
        "Their form, time or topic is not what the configuration says. `edge_agent_rejects_total` has the reasons.",
        "rejects",
    ),
    Alert(
        "EdgeAgentOutboxFilling",
        "edge_agent_alerts_waiting > 20 or edge_agent_outbox_bytes > 5e6",
        2 * MINUTE,
        "warning",
        f"{AGENT}: alerts wait for the broker",
        "Alert messages are made and not delivered. They are kept, within a bound.",
        "outbox",
    ),
    Alert(
        "EdgeAgentAlertsLost",
        "increase(edge_agent_outbox_dropped_total[<300>]) > 0",
        0,
        "critical",
        f"{AGENT} gave alerts up",
        "{{ $value | humanize }} messages were dropped because too many waited for the broker.",
        "outbox",
    ),
    Alert(
        "EdgeAgentModelExpired",
        "edge_agent_bundle_expires_timestamp_seconds - time() <= 0",
        0,
        "warning",
        f"The model of {AGENT} is too old",
        "It goes on working. Its maker said that it should have been replaced by now.",
        "model-expiry",
    ),
    Alert(
        "EdgeAgentModelExpiring",
        f"0 < edge_agent_bundle_expires_timestamp_seconds - time() < {14 * DAY}",
        HOUR,
        "info",
        f"The model of {AGENT} expires in {{{{ $value | humanizeDuration }}}}",
        "Put the next bundle in place before then.",
        "model-expiry",
    ),
    Alert(
        "EdgeAgentThresholdDrift",
        "edge_agent_threshold_ratio >= 1.4",
        HOUR,
        "warning",
        f"The threshold of {MACHINE} has drifted",
        "It stands at {{ $value | humanize }} times the learnt one, near its bound: what is normal has changed.",
        "drift",
    ),
    Alert(
        "EdgeAgentScoreDrift",
        "machine:edge_agent_score_ratio:median1h > 0.75 and on (instance, machine) edge_agent_alarms_open == 0",
        6 * HOUR,
        "warning",
        f"The scores of {MACHINE} have crept up",
        "Their median over an hour is {{ $value | humanizePercentage }} of the threshold, without an alarm.",
        "drift",
    ),
    Alert(
        "EdgeAgentInputDrift",
        "edge_agent_input_drift > 2",
        6 * HOUR,
        "info",
        f"The values of {MACHINE} are not those it was learnt from",
        "Stability index {{ $value | humanize }}: a channel has left its learnt range. Its page names the channel.",
        "drift",
    ),
    Alert(
        "EdgeAgentInternalErrors",
        "increase(edge_agent_internal_errors_total[<3600>]) > 0",
        0,
        "warning",
        f"{AGENT} contained a bug",
        "An exception was caught; the log names it. Please report it.",
        "internal-errors",
    ),
    Alert(
        "EdgeAgentLedgerOff",
        "edge_agent_messages_received_total != sum without (outcome) (edge_agent_messages_total)",
        MINUTE,
        "warning",
        f"The ledger of {AGENT} does not add up",
        "Messages received are not those accounted for: a bug. Please report it.",
        "internal-errors",
    ),
    Alert(
        "EdgeAgentReloadRefused",
        'increase(edge_agent_reloads_total{result="refused"}[<600>]) > 0',
        0,
        "warning",
        f"{AGENT} refused a new configuration or model",
        "The last good one stays in use. The log says what is wrong.",
        "reload-refused",
    ),
)
