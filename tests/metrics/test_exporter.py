"""The page says what the table declares, and the ledger on it adds up."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from edge_agent.metrics.collectors import ALARMS_LIMIT, CHANNELS_LIMIT, MACHINES_LIMIT, Samples, samples_of
from edge_agent.metrics.exporter import DECISION_S, Exporter
from edge_agent.metrics.series import TABLE
from edge_agent.metrics.snapshot import (
    AlarmManagerSeries,
    AlarmSeries,
    ConnectionSeries,
    MachineSeries,
    NotifySeries,
    ShareSeries,
    Snapshot,
    StateSeries,
)
from edge_agent.metrics.text import text_of
from edge_agent.records import Ledger

ALARM = AlarmSeries(
    "cavitation", "major", acknowledged=True, shelved=False, channels=(("flow", 0.75), ("bar", 0.25))
)
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def samples(exporter: Exporter) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(exporter.page().decode())
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def full() -> Snapshot:
    ledger = Ledger(
        received=16,
        accepted=5,
        duplicate=4,
        late=3,
        shed=2,
        rejected={"not_json": 1, "no_source": 1},
        values_rejected={"not_finite": 7},
        windows_scored=9,
        windows_skipped={"warming_up": 1},
    )
    machines = {
        "pump": MachineSeries(
            "ready",
            4000,
            0.5,
            2.0,
            alarm_open=True,
            threshold_ratio=1.25,
            unsettled=True,
            findings_open=2,
            data_s=1.7e9,
            input_drift=0.75,
            score_drift=0.0,
            scored_share=0.9,
            learnt_s=1.6e9,
            budget_per_week=1.0,
            budget_expected=0.3,
            budget_spent=2.0,
            alarm=ALARM,
        ),
        "new": MachineSeries(
            "commissioning", 7, None, None, alarm_open=False, turned_away=True, by_exception=True
        ),
    }
    connections = {"ingest": ConnectionSeries(connected=True, connects=2, replaced=1)}
    return Snapshot(
        ledger=ledger,
        machines=machines,
        connections=connections,
        alarm_manager=AlarmManagerSeries({("ack", "done"): 2}, {"held": 1}, held=3, dropped=4),
        build=("1", "b", "d", "cpu"),
        reloads={"refused": 1},
        waveforms={("pump", "de.rms"): 0.5},
        bundle_expires_s=1.8e9,
        sparkplug={"births": 1},
        cycles={"counted": 2},
        notify={"night": NotifySeries(made=3, confirmed=1, given_up=1, waiting=1, failures=2)},
        share=ShareSeries(foreign=8, active=1, members=2, handed=1, refused=1),
        state=StateSeries(free_bytes=5),
    )


def test_every_series_of_the_table_appears_and_nothing_else_of_ours() -> None:
    exporter = Exporter()
    exporter.snapshot = full()
    for histogram in (
        exporter.step_seconds,
        exporter.inference_seconds,
        exporter.decision_seconds,
        exporter.commission_seconds,
    ):
        histogram.observe(0.1)
    found = {name for name, _ in samples(exporter) if name.startswith("edge_agent")}
    plain = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in found}
    plain = {name.removesuffix("_created") for name in plain}
    assert plain == {series.name for series in TABLE}


def test_a_tally_counts_as_a_histogram_does() -> None:
    exporter, registry = Exporter(), CollectorRegistry()
    edges = DECISION_S
    usual = Histogram("edge_agent_decision_seconds", "x", registry=registry, buckets=edges)
    for value, times in [(0.0, 1), (0.005, 3), (0.0051, 2), (0.2, 5), (29.9, 1), (30.0, 1), (31.0, 4)]:
        exporter.decision_seconds.observe(value, times)
        for _ in range(times):
            usual.observe(value)
    named = "edge_agent_decision_seconds"
    ours = [line for line in exporter.page().decode().splitlines() if line.startswith(named)]
    theirs = [line for line in generate_latest(registry).decode().splitlines() if line.startswith(named)]
    assert sorted(ours) == sorted(line for line in theirs if "_created" not in line)


def test_names_say_what_they_are() -> None:
    for series in TABLE:
        assert series.name.startswith("edge_agent_")
        assert (series.kind == "counter") == series.name.endswith("_total"), series.name
        is_a_length = series.name.endswith("_seconds") and not series.name.endswith("_timestamp_seconds")
        assert series.kind != "histogram" or is_a_length, series.name
        assert not is_a_length or series.kind in {"histogram", "gauge"}, series.name
        assert "channel" not in series.labels or series.name == "edge_agent_alarm_channel_share"
        assert "topic" not in series.labels


def test_the_documentation_lists_every_series_with_its_labels() -> None:
    page = PAGE.read_text()
    for series in TABLE:
        shown = f"`{series.name}{{{', '.join(series.labels)}}}`" if series.labels else f"`{series.name}`"
        assert shown in page, shown
        assert series.help.rstrip(".") in page, series.name


def test_the_ledger_on_the_page_adds_up() -> None:
    exporter = Exporter()
    exporter.snapshot = full()
    found = samples(exporter)
    outcomes = {
        labels[0]: value for (name, labels), value in found.items() if name == "edge_agent_messages_total"
    }
    assert outcomes == {"accepted": 5, "duplicate": 4, "rejected": 2, "late": 3, "shed": 2}
    assert found["edge_agent_messages_received_total", ()] == sum(outcomes.values())
    rejects = sum(value for (name, _), value in found.items() if name == "edge_agent_rejects_total")
    assert rejects == outcomes["rejected"]


def test_scores_are_told_relative_to_their_threshold() -> None:
    exporter = Exporter()
    exporter.snapshot = full()
    found = samples(exporter)
    assert found["edge_agent_score_ratio", ("pump",)] == 0.25
    assert ("edge_agent_score_ratio", ("new",)) not in found
    assert found["edge_agent_rows", ("new",)] == 7


def test_drift_is_told_where_it_is_known_and_zero_is_known() -> None:
    exporter = Exporter()
    exporter.snapshot = full()
    found = samples(exporter)
    assert found["edge_agent_input_drift", ("pump",)] == 0.75
    assert found["edge_agent_score_drift", ("pump",)] == 0.0
    assert found["edge_agent_scored_share", ("pump",)] == 0.9
    assert found["edge_agent_learnt_timestamp_seconds", ("pump",)] == 1.6e9
    assert ("edge_agent_input_drift", ("new",)) not in found


def test_a_flood_of_machines_does_not_flood_prometheus() -> None:
    machines = {
        f"m{number}": MachineSeries("ready", 1, 1.0, 1.0, alarm_open=True, unsettled=True)
        for number in range(MACHINES_LIMIT + 40)
    }
    exporter = Exporter()
    exporter.snapshot = Snapshot(machines=machines)
    found = samples(exporter)
    assert sum(name == "edge_agent_score" for name, _ in found) == MACHINES_LIMIT
    assert found["edge_agent_alarms_open", ("other",)] == 40
    assert found["edge_agent_alarms_unsettled", ("other",)] == 40
    assert found["edge_agent_machines", ("ready",)] == MACHINES_LIMIT + 40


def test_a_present_alarm_is_told_with_its_fault_and_what_carries_it() -> None:
    exporter = Exporter()
    exporter.snapshot = full()
    found = samples(exporter)
    told = {labels: value for (name, labels), value in found.items() if name == "edge_agent_alarm_info"}
    assert told == {("yes", "cavitation", "pump", "major", "no"): 1.0}  # labels by name, as they are sorted
    assert found["edge_agent_alarm_channel_share", ("flow", "pump")] == 0.75
    assert found["edge_agent_budget_spent", ("pump",)] == 2


def test_a_flood_of_alarms_and_channels_does_not_flood_prometheus() -> None:
    channels = (("twice", 0.5), ("twice", 0.5), *((f"c{number}", 0.0) for number in range(200)))
    alarm = AlarmSeries("unknown", "major", acknowledged=False, shelved=True, channels=channels)
    machines = {
        f"m{number}": MachineSeries("ready", 1, 1.0, 1.0, alarm_open=True, alarm=alarm)
        for number in range(MACHINES_LIMIT + 1)
    }
    exporter = Exporter()
    exporter.snapshot = Snapshot(machines=machines)
    names = [name for name, _ in samples(exporter)]
    assert names.count("edge_agent_alarm_info") == MACHINES_LIMIT
    assert names.count("edge_agent_alarm_channel_share") == ALARMS_LIMIT * (CHANNELS_LIMIT - 1)


def test_invented_machines_take_no_series_of_a_learnt_one() -> None:
    ghosts = {
        f"ghost-{number}": MachineSeries("commissioning", 1, None, None, alarm_open=False)
        for number in range(MACHINES_LIMIT)
    }
    exporter = Exporter()
    exporter.snapshot = Snapshot(
        machines=ghosts | {"real": MachineSeries("ready", 1, 1.0, 1.0, alarm_open=True)}, gave_way=3
    )
    found = samples(exporter)
    assert found["edge_agent_alarms_open", ("real",)] == 1
    assert found["edge_agent_machines_gave_way_total", ()] == 3


def test_the_page_is_byte_for_byte_what_the_client_of_prometheus_writes() -> None:
    snapshot = full()
    odd = replace(snapshot.machines["pump"], score=1.5e-9, threshold=12_345_678.0, data_s=float("inf"))
    machines = {
        **snapshot.machines,
        'press "4"\\\n末': odd,
        "none": replace(odd, score=float("nan"), rows=-3),
    }
    samples = samples_of(replace(snapshot, machines=machines))
    registry = CollectorRegistry()
    registry.register(Families(samples))
    assert text_of(TABLE, samples).encode() == generate_latest(registry)


class Families:
    """The same samples as objects of the client."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        for series in TABLE:
            if series.kind != "histogram":
                kind = CounterMetricFamily if series.kind == "counter" else GaugeMetricFamily
                family = kind(series.name, series.help, labels=series.labels)
                for labels, value in self._samples.get(series.name, ()):
                    family.add_metric(labels, value)
                yield family
