"""What spares work changes no score, alarm or finding: rows looked at together, and a network that nobody reads."""

from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.model.lazy_arrays import LazyArrays
from edge_agent.model.session import ModelSession
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.machine import Machine
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import CommissionRequest, StepResults
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Alarm, Profile, ScoreBlock
from edge_agent.sensors.checks import ChannelHistory
from edge_agent.sensors.monitor import SensorMonitor
from edge_agent.store.atomic_file import allow_open
from edge_agent.store.state_dir import StateDir
from tests.support.frames import frames_of, undecoded

PERIOD_NS = 50_000_000
CHANNELS = ("flow", "pressure")
SETTINGS = PipelineSettings(commission_rows=1200)


def rows(count: int, *, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    flow = 50 + 5 * np.sin(np.arange(count) / 40) + rng.normal(0, 0.3, count)
    return np.stack([flow, 2 + 0.05 * flow + rng.normal(0, 0.02, count)], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def request_to_learn(scorer: Scorer) -> CommissionRequest:
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS)
    (request,) = pipeline.feed(
        frames_of(rows(1200, seed=0), start=0, block=1200, channels=CHANNELS, period_ns=PERIOD_NS)
    ).commissions
    assert request.hop_rows == 20
    return request


@pytest.fixture(scope="module")
def profile(scorer: Scorer, request_to_learn: CommissionRequest) -> Profile:
    return learn(request_to_learn, scorer=scorer, settings=SETTINGS)


def watch(scorer: Scorer, profile: Profile, values: np.ndarray, *, block: int = 1) -> list[StepResults]:
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS, profiles=[profile])
    return [
        pipeline.feed([frame])
        for frame in frames_of(values, start=2000, block=block, channels=CHANNELS, period_ns=PERIOD_NS)
    ]


def scores(steps: list[StepResults]) -> list[ScoreBlock]:
    return [score for step in steps for score in step.scores]


def faulty() -> np.ndarray:
    values = rows(900, seed=1)
    values[400:560, 0] += 30.0
    values[600:, 1] = values[600, 1]
    return values


def test_rows_that_are_looked_at_together_say_what_they_say_one_by_one(
    scorer: Scorer, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = watch(scorer, profile, faulty())
    monkeypatch.setattr(Machine, "due", lambda _: True)
    alone = watch(scorer, profile, faulty())
    assert [a for step in together for a in step.alarms] == [a for step in alone for a in step.alarms] != []
    found = [[f for step in steps for f in step.findings] for steps in (together, alone)]
    assert found[0] == found[1] != []
    for one, other in zip(scores(together), scores(alone), strict=True):
        np.testing.assert_array_equal(one.value, other.value)
        np.testing.assert_array_equal(one.windows.end_rows, other.windows.end_rows)


@pytest.mark.parametrize("seed", range(8))
def test_rows_that_are_ordinary_at_a_check_are_so_at_a_thorough_check(
    profile: Profile, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rows(2000, seed=seed)
    for start in range(100, 1900, 200):
        part, channel = slice(start, start + int(rng.integers(2, 90))), int(rng.integers(2))
        kinds = (values[start, channel], np.nan, 25.4 * values[part, channel], values[part, channel].round(0))
        values[part, channel] = kinds[rng.integers(len(kinds))]
    cuts = np.cumsum(rng.integers(1, 60, 200))
    blocks = np.split(values, cuts[cuts < len(values)])
    quick = inspected(profile, blocks)
    found = []
    original = ChannelHistory.quick_check
    monkeypatch.setattr(
        ChannelHistory,
        "quick_check",
        lambda *given: found.append(original(*given)) or found[-1],
    )
    assert inspected(profile, blocks) == quick
    monkeypatch.setattr(ChannelHistory, "quick_check", lambda *_: None)
    thorough = inspected(profile, blocks)
    assert quick == thorough
    assert any(findings for findings, _ in thorough)
    assert {None, True, False} <= {check and check.far for check in found}


def inspected(profile: Profile, blocks: list[np.ndarray]) -> list[tuple[tuple[Alarm, ...], list[list[bool]]]]:
    """Of each block, its findings and which rows hide a channel."""
    monitor = SensorMonitor(
        profile, SETTINGS.quality, ranges=[(-np.inf, np.inf)] * 2, window_rows=128, model="m"
    )
    found, row = [], 0
    for block in blocks:
        times = np.arange(row, row + len(block)) * PERIOD_NS
        row += len(block)
        seen = monitor.check(block, times)
        hidden = seen.hidden if seen.hidden.size else np.zeros((len(block), 2), np.bool_)
        found.append((seen.findings, hidden.tolist()))
    return found


def test_a_finding_waits_a_second_of_rows_at_most(scorer: Scorer, profile: Profile) -> None:
    steps = watch(scorer, profile, faulty())
    for at, step in enumerate(steps):
        for finding in step.findings:
            assert (2000 + at) * PERIOD_NS - finding.time_ns < 20 * PERIOD_NS


def test_the_encoder_is_not_asked_while_a_machine_is_learnt(
    scorer: Scorer, request_to_learn: CommissionRequest, profile: Profile
) -> None:
    with mock.patch.object(ModelSession, "ask", side_effect=AssertionError("asked")):
        again = learn(request_to_learn, scorer=scorer, settings=SETTINGS)
    assert again.memory.keys() == profile.memory.keys()


def test_a_network_that_nobody_reads_changes_no_score(scorer: Scorer, profile: Profile) -> None:
    silent = Scorer.load(bundle.read(scorer.bundle.path), provider="cpu")
    silent.expecting = False
    asked = Scorer.load(bundle.read(scorer.bundle.path), provider="cpu")
    without, with_network = (watch(each, profile, faulty()) for each in (silent, asked))
    assert [s.alarms for s in without] == [s.alarms for s in with_network]
    for one, other in zip(scores(without), scores(with_network), strict=True):
        for name in ("value", "recent", "contributions", "parts"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert np.isnan(one.expected).all()
        assert np.isfinite(other.expected).all()


def test_a_profile_that_stays_in_its_file_changes_no_score_alarm_or_name(
    scorer: Scorer, profile: Profile, tmp_path: Path
) -> None:
    allow_open(8)
    store = StateDir(tmp_path)
    store.open()
    store.save_profile(profile)
    (restored,) = store.load(encoder=profile.encoder).profiles
    store.close()
    assert isinstance(restored.memory, LazyArrays)
    assert restored.memory.held_bytes() < sum(array.nbytes for array in profile.memory.values()) / 4
    names = set()
    runs = []
    for each in (replace(profile, memory=ENSEMBLE.compact(profile.memory)), restored):
        pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS, profiles=[each])
        steps = [
            pipeline.feed([frame])
            for frame in frames_of(faulty(), start=2000, block=1, channels=CHANNELS, period_ns=PERIOD_NS)
        ]
        alarm = next(alarm for step in steps for alarm in step.alarms)
        pipeline.label("m", alarm=alarm.id, fault="surge")  # learns by windows that only the file has
        steps += [
            pipeline.feed([frame])
            for frame in frames_of(faulty(), start=4000, block=1, channels=CHANNELS, period_ns=PERIOD_NS)
        ]
        names |= {alarm.fault for step in steps for alarm in step.alarms}
        runs.append(steps)
    held, late = runs
    assert "surge" in names
    assert any(score.windows.hidden for score in scores(held))
    assert [step.alarms for step in held] == [step.alarms for step in late]
    assert [step.findings for step in held] == [step.findings for step in late]
    for one, other in zip(scores(held), scores(late), strict=True):
        for name in ("value", "recent", "contributions", "parts"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_machine_whose_file_cannot_be_read_costs_the_others_nothing(
    scorer: Scorer, profile: Profile
) -> None:
    def unreadable() -> np.ndarray:
        raise OSError(5, "Input/output error")

    memory = ENSEMBLE.compact(profile.memory)
    whole = replace(profile, memory=memory)
    broken = replace(profile, machine="b", memory=LazyArrays(memory).joined({"together_codes": unreadable}))
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS, profiles=[whole, broken])
    steps = [
        pipeline.feed([frame, replace(frame, machine="b")])
        for frame in frames_of(rows(300, seed=1), start=2000, block=1, channels=CHANNELS, period_ns=PERIOD_NS)
    ]
    alone = watch(scorer, whole, rows(300, seed=1))
    assert {failure.subject for step in steps for failure in step.failures} == {"b"}
    assert pipeline.ledger.windows_skipped["internal_error"] == len(scores(alone)) > 0
    np.testing.assert_array_equal(
        np.concatenate([score.value for score in scores(steps)]),
        np.concatenate([score.value for score in scores(alone)]),
    )
