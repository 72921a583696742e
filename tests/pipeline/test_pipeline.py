"""From bytes to alarms, with the shipped model: what a subscriber would see."""

import json
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from edge_agent.detect.scorer import Scorer
from edge_agent.formats.routing import Clock, Route, delivery_decoder
from edge_agent.formats.table import FORMATS
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import StepResults
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Alarm, Delivery, Frame, Reject
from edge_agent.topics import parse, parse_name

SECOND = 1_000_000_000
CHANNELS = ("flow", "pressure", "vibration")
SETTINGS = PipelineSettings(commission_rows=600)


def rows(count: int, *, seed: int = 0, start: int = 0) -> np.ndarray:
    """A loop with a slow swing, from its row `start` on: pressure follows flow, vibration is noise."""
    rng = np.random.default_rng(seed)
    flow = 50 + 5 * np.sin((start + np.arange(count)) / 40) + rng.normal(0, 0.3, count)
    pressure = 2 + 0.05 * flow + rng.normal(0, 0.02, count)
    return np.stack([flow, pressure, rng.normal(1.0, 0.1, count)], axis=1)


def decode(delivery: Delivery) -> Frame | Reject:
    try:
        said = json.loads(delivery.payload)
    except ValueError:
        return Reject("not_json")
    machine = delivery.topic.split("/")[1]
    return Frame(machine, tuple(said["values"]), [int(said["ts"] * SECOND)], [list(said["values"].values())])


def deliveries(values: np.ndarray, *, machine: str = "pump-1", start: int = 0) -> list[Delivery]:
    return [
        Delivery(
            f"sensors/{machine}",
            json.dumps({"ts": start + at, "values": dict(zip(CHANNELS, row, strict=True))}).encode(),
            0,
        )
        for at, row in enumerate(values.tolist())
    ]


def drive(
    pipeline: Pipeline, messages: list[Delivery], *, scorer: Scorer, chunk: int = 50
) -> list[StepResults]:
    steps = []
    for at in range(0, len(messages), chunk):
        step = pipeline.step(messages[at : at + chunk])
        for request in step.commissions:
            pipeline.install(learn(request, scorer=scorer, settings=SETTINGS))
        steps.append(step)
    return steps


def alarms(steps: Iterable[StepResults]) -> list[Alarm]:
    return [alarm for step in steps for alarm in step.alarms]


@pytest.fixture
def pipeline(scorer: Scorer) -> Pipeline:
    return Pipeline(decode=decode, scorer=scorer, settings=SETTINGS)


def with_fault(count: int, *, fault_at: int, start: int) -> np.ndarray:
    values = rows(count, seed=7, start=start)
    values[fault_at:, 1] += 0.5  # the pressure gauge drifts off: five times its own spread around the flow
    return values


def test_a_new_machine_is_commissioned_and_its_fault_is_alarmed_with_the_guilty_channel(
    pipeline: Pipeline, scorer: Scorer
) -> None:
    drive(pipeline, deliveries(rows(600)), scorer=scorer)
    assert pipeline.statuses()["pump-1"].state == "ready"
    normal = drive(pipeline, deliveries(rows(400, seed=3, start=600), start=600), scorer=scorer)
    assert alarms(normal) == []
    said = alarms(
        drive(pipeline, deliveries(with_fault(400, fault_at=100, start=1000), start=1000), scorer=scorer)
    )
    assert said[0].machine == "pump-1"
    assert said[0].onset_ns >= 1100 * SECOND
    assert "pressure" in [channel.name for channel in said[-1].channels[:2]]
    assert len({alarm.id for alarm in said}) == 1


def by_arrival(*, wrong: bool, scorer: Scorer) -> tuple[Pipeline, list[StepResults]]:
    """A machine whose messages arrive once a second; its own clock is set about, or tells the time of the arrival."""
    clock: Clock = "arrival" if wrong else "source"
    template = parse("sensors/{machine}", allowed={"machine"}, required={"machine"})
    route = Route(template, FORMATS["json"].decoder(None), parse_name("{machine}"), clock)
    pipeline = Pipeline(
        decode=delivery_decoder([route], payload_limit_bytes=65_536, future_tolerance_s=300.0),
        scorer=scorer,
        settings=SETTINGS,
    )
    arrival_s = 1_700_000_000
    shifts_s = (
        [0, -3600, 3600, -arrival_s] if wrong else [0]
    )  # right, an hour behind, an hour ahead, since 1970
    messages = []
    for at, row in enumerate(with_fault(1400, fault_at=1200, start=0).tolist()):
        stamp_s = arrival_s + at + shifts_s[at // 150 % len(shifts_s)]
        payload = json.dumps({"ts": stamp_s, "values": dict(zip(CHANNELS, row, strict=True))})
        messages.append(Delivery("sensors/pump-1", payload.encode(), (arrival_s + at) * SECOND))
    return pipeline, drive(pipeline, messages, scorer=scorer)


def test_a_clock_that_is_set_about_changes_nothing_where_arrival_counts(scorer: Scorer) -> None:
    tidy, expected = by_arrival(wrong=False, scorer=scorer)
    wrong, found = by_arrival(wrong=True, scorer=scorer)
    assert wrong.ledger == tidy.ledger
    assert wrong.ledger.accepted == 1400
    assert alarms(found) == alarms(expected) != []
    times_ns = [
        time_ns for step in found for score in step.scores for time_ns in score.windows.times_ns.tolist()
    ]
    assert times_ns == sorted(set(times_ns))


def test_the_ledger_balances_whatever_comes(pipeline: Pipeline, scorer: Scorer) -> None:
    good = deliveries(rows(50))
    bad = [Delivery("sensors/pump-1", b"\xff not json", 0)] * 7
    again, late = good[-1:], good[:3]
    drive(pipeline, [*good, *bad, *again, *late], scorer=scorer)
    ledger = pipeline.ledger
    assert ledger.received == 61
    assert (ledger.accepted, ledger.duplicate, ledger.late) == (50, 1, 3)
    assert ledger.rejected == {"not_json": 7}
    assert ledger.balance() == 0


def test_bare_numbers_are_rows_or_surplus_and_never_duplicates(pipeline: Pipeline) -> None:
    def arriving(second: float) -> list[Frame]:
        return [
            Frame("m", (name,), [int(second * SECOND)], [(second,)], stamped=False, partial=True)
            for name in CHANNELS
        ]

    times = [
        *range(10),
        11.1,
        11.2,
        11.3,
        12,
    ]  # what was to be told at 10 waits for 11, and 11.3 is one too many
    for second in times:
        pipeline.feed(arriving(second))
    ledger = pipeline.ledger
    assert (ledger.accepted, ledger.duplicate, ledger.late) == (3 * 13, 0, 0)
    assert ledger.rejected == {"surplus": 3}
    assert ledger.balance() == 0


def test_same_bytes_in_same_alarms_out(scorer: Scorer) -> None:
    said = []
    for _ in range(2):
        pipeline = Pipeline(decode=decode, scorer=scorer, settings=SETTINGS)
        messages = [*deliveries(rows(600)), *deliveries(with_fault(300, fault_at=50, start=600), start=600)]
        said.append(alarms(drive(pipeline, messages, scorer=scorer)))
    assert said[0]
    assert said[0] == said[1]


def test_machines_do_not_disturb_each_other(pipeline: Pipeline, scorer: Scorer) -> None:
    for name in ("a", "b"):
        drive(pipeline, deliveries(rows(600), machine=name), scorer=scorer)
    healthy = deliveries(rows(300, seed=5, start=600), machine="a", start=600)
    broken = deliveries(with_fault(300, fault_at=0, start=600), machine="b", start=600)
    mixed = [message for pair in zip(healthy, broken, strict=True) for message in pair]
    assert {alarm.machine for alarm in alarms(drive(pipeline, mixed, scorer=scorer))} == {"b"}


def test_an_unknown_channel_is_gathered_and_the_rest_goes_on(pipeline: Pipeline, scorer: Scorer) -> None:
    drive(pipeline, deliveries(rows(600)), scorer=scorer)
    values = {"flow": 50, "pressure": 4.5, "vibration": 1, "intruder": 3}
    stranger = Delivery("sensors/pump-1", json.dumps({"ts": 900, "values": values}).encode(), 0)
    alone = Delivery("sensors/pump-1", json.dumps({"ts": 901, "values": {"intruder": 3}}).encode(), 0)
    pipeline.step([stranger, alone])
    following = pipeline.statuses()["pump-1"].successor
    assert following is not None
    assert following.new == ("intruder",)
    assert (pipeline.ledger.values_rejected, pipeline.ledger.rejected) == ({}, {})
    assert pipeline.ledger.accepted == 602
    assert pipeline.ledger.balance() == 0


def test_floods_of_machines_and_channels_are_bounded(scorer: Scorer) -> None:
    tight = replace(SETTINGS, machines_limit=2, channels_limit=4)
    pipeline = Pipeline(decode=decode, scorer=scorer, settings=tight)
    for name, count in (("a", 20), ("b", 20), ("c", 1), ("d", 1)):
        pipeline.step(deliveries(rows(count), machine=name))
    wide = {f"c{at}": 1.0 for at in range(5)}
    pipeline.step([Delivery("sensors/a", json.dumps({"ts": 25, "values": wide}).encode(), 0)])
    assert set(pipeline.statuses()) == {"a", "b"}
    assert pipeline.ledger.rejected == {"too_many_machines": 2, "too_many_channels": 1}
    assert pipeline.ledger.balance() == 0


def test_a_machine_that_cannot_be_learnt_says_why_and_tries_again(pipeline: Pipeline) -> None:
    pipeline.step(deliveries(rows(600)))
    pipeline.fail("pump-1", "too noisy")
    status = pipeline.statuses()["pump-1"]
    assert (status.state, status.reason, status.rows_wanted) == ("failed", "too noisy", 1200)
    assert pipeline.step(deliveries(rows(599), start=600)).commissions == ()
    assert len(pipeline.step(deliveries(rows(1), start=1199)).commissions) == 1


def test_a_restored_profile_scores_from_the_first_window(scorer: Scorer) -> None:
    first = Pipeline(decode=decode, scorer=scorer, settings=SETTINGS)
    (request,) = first.step(deliveries(rows(600))).commissions
    profile = learn(request, scorer=scorer, settings=SETTINGS)
    second = Pipeline(decode=decode, scorer=scorer, settings=SETTINGS, profiles=[profile])
    step = second.step(deliveries(rows(scorer.window_rows), start=5000))
    assert sum(len(block.value) for block in step.scores) == 1


def test_a_template_profile_serves_any_machine_with_its_channels(scorer: Scorer) -> None:
    first = Pipeline(decode=decode, scorer=scorer, settings=SETTINGS)
    (request,) = first.step(deliveries(rows(600))).commissions
    template = learn(request, scorer=scorer, settings=SETTINGS)
    fleet = Pipeline(decode=decode, scorer=scorer, settings=SETTINGS, template=template)
    fleet.step(deliveries(rows(1), machine="pump-7"))
    assert fleet.statuses()["pump-7"].state == "ready"
