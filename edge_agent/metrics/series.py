"""The table of metrics: name, kind, help and labels of every series that the agent shows. Words only, no figures.

A metric is one row here, and one figure in `collectors` where it is read from the snapshot. docs/metrics.md is written
from this table.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "info", "histogram"]


@dataclass(frozen=True, slots=True)
class Series:
    """One row of the table of metrics."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


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
        "edge_agent_cycles_total",
        "counter",
        "Cycles of programmed machines that began, by what became of them; absent where none began.",
        ("outcome",),
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
        "edge_agent_alarms_unsettled",
        "gauge",
        "1 while the machine's open alarm is quiet and not over.",
        ("machine",),
    ),
    Series(
        "edge_agent_alarm_info",
        "gauge",
        "1 for a machine's present alarm: its fault, how grave it is, whether it was seen, whether calls are put off.",
        ("machine", "fault", "severity", "acknowledged", "shelved"),
    ),
    Series(
        "edge_agent_alarm_channel_share",
        "gauge",
        "Share of the score of the five channels that carry a present alarm most; of 100 alarms at most.",
        ("machine", "channel"),
    ),
    Series(
        "edge_agent_sensor_findings_open",
        "gauge",
        "Findings that hold about the machine's sensors.",
        ("machine",),
    ),
    Series(
        "edge_agent_notices_open",
        "gauge",
        "Notices that hold: what the machine does that was never learnt and is no fault, such as standing still.",
        ("machine",),
    ),
    Series(
        "edge_agent_unwatched",
        "gauge",
        "1 while the machine was learnt, and is not watched: its rows come, and no window of theirs is scored.",
        ("machine",),
    ),
    Series(
        "edge_agent_turned_away",
        "gauge",
        "1 for a machine of which every message is turned away, such as one with more channels than are allowed.",
        ("machine",),
    ),
    Series(
        "edge_agent_reports_changes",
        "gauge",
        "1 for a machine that reports changes only: that it says nothing is no sign of silence.",
        ("machine",),
    ),
    Series(
        "edge_agent_data_timestamp_seconds",
        "gauge",
        "Time of the machine's latest row of data.",
        ("machine",),
    ),
    Series(
        "edge_agent_input_drift",
        "gauge",
        "How far calm rows are from those of commissioning, beyond the usual: PSI of the channel that moved most.",
        ("machine",),
    ),
    Series(
        "edge_agent_score_drift",
        "gauge",
        "How far calm scores are from those of commissioning, beyond the usual: PSI.",
        ("machine",),
    ),
    Series(
        "edge_agent_scored_share",
        "gauge",
        "Share of the last day's time, by the data's clock, that ended in a scored window.",
        ("machine",),
    ),
    Series(
        "edge_agent_learnt_timestamp_seconds",
        "gauge",
        "When the machine was learnt, by the data's clock; the age of its calibration.",
        ("machine",),
    ),
    Series(
        "edge_agent_budget_per_week", "gauge", "False alarms a week that the machine may raise.", ("machine",)
    ),
    Series(
        "edge_agent_budget_spent",
        "gauge",
        "Alarms of the machine in the last seven days, but for those that people called a fault.",
        ("machine",),
    ),
    Series(
        "edge_agent_budget_expected_per_week",
        "gauge",
        "False alarms a week to be expected at most, by the machine's own calm scores.",
        ("machine",),
    ),
    Series(
        "edge_agent_foreign_messages_total",
        "counter",
        "Messages of machines that another agent of the group has, or nobody yet; not among those received.",
    ),
    Series("edge_agent_share_active", "gauge", "1 while this agent may own machines of its group."),
    Series("edge_agent_share_members", "gauge", "Members of the group that count, as this agent sees it."),
    Series(
        "edge_agent_profiles_handed_total",
        "counter",
        "Profiles of machines that were taken over from the broker.",
    ),
    Series(
        "edge_agent_profiles_refused_total",
        "counter",
        "Profiles at the broker that were not used: damaged, too long, or of another model.",
    ),
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
    Series(
        "edge_agent_calls_made_total",
        "counter",
        "Messages to people by rule, `[[notify]]`; absent without any.",
        ("rule",),
    ),
    Series(
        "edge_agent_calls_total",
        "counter",
        "What became of them: confirmed or given_up; with those that wait they add up to those made.",
        ("rule", "outcome"),
    ),
    Series("edge_agent_calls_waiting", "gauge", "Messages to people that are not confirmed yet.", ("rule",)),
    Series(
        "edge_agent_call_failures_total",
        "counter",
        "Attempts that the receiver refused or did not answer; each is made again.",
        ("rule",),
    ),
    Series("edge_agent_internal_errors_total", "counter", "Exceptions that were contained: bugs."),
    Series(
        "edge_agent_machines_gave_way_total",
        "counter",
        "Machines that were never learnt, had gone silent and gave way to new ones when all places were taken.",
    ),
    Series("edge_agent_state_degraded", "gauge", "1 while state cannot be written to disk."),
    Series("edge_agent_state_commits_total", "counter", "Transactions written to disk."),
    Series("edge_agent_state_failures_total", "counter", "Attempts to write state that failed."),
    Series("edge_agent_state_set_aside_total", "counter", "Corrupt databases set aside."),
    Series("edge_agent_state_bytes", "gauge", "Size of the database with its log."),
    Series("edge_agent_state_free_bytes", "gauge", "Room on the disk that holds the database."),
    Series("edge_agent_history_degraded", "gauge", "1 while nothing new is kept of the past."),
    Series(
        "edge_agent_history_waiting",
        "gauge",
        "Closed incidents, and what was done about them, that the history does not have yet.",
    ),
    Series(
        "edge_agent_history_dropped_total",
        "counter",
        "Incidents given up: not_writable, it could not be written for too long; no_room, the oldest made room.",
        ("reason",),
    ),
    Series(
        "edge_agent_history_written_total",
        "counter",
        "Incidents, and what was done about them, written down.",
    ),
    Series(
        "edge_agent_history_rows_passed_over_total", "counter", "Rows that are missing from the minutes kept."
    ),
    Series("edge_agent_history_failures_total", "counter", "Writes to the history that failed."),
    Series("edge_agent_history_set_aside_total", "counter", "Corrupt histories that were set aside."),
    Series("edge_agent_history_bytes", "gauge", "Size of the history on disk."),
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
BY_NAME = {series.name: series for series in TABLE}
