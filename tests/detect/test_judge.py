"""The network decides: what it says alarms, names channels and ends a state; where it is not heard nothing changes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from edge_agent.detect.context_features import CHANNEL_FEATURES, MACHINE_FEATURES
from edge_agent.detect.detectors import COLUMNS, DETECTORS, ENSEMBLE
from edge_agent.detect.ensemble import Ensemble
from edge_agent.detect.judge import (
    DESCRIPTORS,
    MANY_ROWS,
    THRESHOLD,
    Judge,
    alarm_logit,
    objection,
    ordered,
)
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle as bundles
from edge_agent.model import judge as judges
from edge_agent.model.session import ModelSession
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Alarm, Float32, Profile, ScoreBlock, WindowBlock
from tests.support import tiny
from tests.support.frames import SECOND, frames_of, undecoded
from tests.support.tiny_judge import TinyJudge

T, GUILTY = 128, 1
NAMES = ("a", "b", "c")
SHORT, LONG = 1200, 3200
SETTINGS = PipelineSettings(commission_rows=SHORT)
WITHOUT = Ensemble([one for one in DETECTORS if one.detector.name != "in_context"], columns=COLUMNS)


def rows(n_rows: int, *, seed: int) -> Float32:
    rng = np.random.default_rng(seed)
    load = np.convolve(rng.standard_normal(n_rows + 19), np.ones(20) / 4.5, mode="valid")
    found = np.stack([20 + load, 50 + 3 * load, 5 + np.sin(np.arange(n_rows) / 3.0)], axis=1)
    return (found + rng.standard_normal((n_rows, 3)) * np.array([0.2, 0.6, 0.2])).astype(np.float32)


def windows(*, seed: int, step: int = 8, n_rows: int = 400, fault: float = 9.0) -> Float32:
    """Of rows whose newest quarter is faulty in one channel."""
    values = rows(n_rows, seed=seed)
    values[-n_rows // 4 :, GUILTY] += fault
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(values, T, axis=0)[::step])


def scorer_with(parent: Path, judge: TinyJudge | None, *, expecting: bool = False) -> Scorer:
    path = tiny.bundle(parent, rows=T, judge=judge)
    session = ModelSession.open(bundles.read(path), provider="cpu")
    return Scorer(session, expecting=expecting)


def learnt(scorer: Scorer, n_rows: int = SHORT, *, machine: str = "m", seed: int = 1) -> Profile:
    request = CommissionRequest(machine, NAMES, rows(n_rows, seed=seed), SECOND, 4, n_rows * SECOND)
    return learn(request, scorer=scorer, settings=SETTINGS)


def score(scorer: Scorer, profile: Profile, values: Float32, *, hidden: tuple[int, ...] = ()) -> ScoreBlock:
    (found,) = scorer.score([block_of(profile, values, hidden=hidden)], [profile])
    return found


def block_of(profile: Profile, values: Float32, *, hidden: tuple[int, ...] = ()) -> WindowBlock:
    place = np.arange(len(values), dtype=np.int64)
    return WindowBlock(profile.machine, values, place, place * SECOND, hidden)


def logits(scorer: Scorer, profile: Profile, values: Float32) -> Float32:
    """What the network says, asked past the fusion."""
    due = ENSEMBLE.hear(profile.memory, values)
    asked: list[Float32] = []
    due.judge = replace(scorer.judge, ask=lambda *given: _kept(asked, TinyJudge().answer(*given)))
    (listed,) = [one for one in DETECTORS if one.detector.name == "in_context"]
    listed.detector.score([listed.arrays.read(profile.memory)], due)
    return asked[0]


def _kept(asked: list[Float32], answer: tuple[Float32, Float32]) -> tuple[Float32, Float32]:
    asked.append(answer[0])
    return answer


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return scorer_with(tmp_path_factory.mktemp("judged"), TinyJudge())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return scorer_with(tmp_path_factory.mktemp("plain"), None)


@pytest.fixture(scope="module")
def profile(judged: Scorer) -> Profile:
    return learnt(judged)


@pytest.fixture(scope="module")
def long(judged: Scorer) -> Profile:
    return learnt(judged, LONG)


def test_the_features_are_as_wide_as_bundles_promise() -> None:
    assert (len(CHANNEL_FEATURES), len(MACHINE_FEATURES)) == judges.WIDTHS
    assert len(MACHINE_FEATURES) - MACHINE_FEATURES.index("rows") == judges.N_DESCRIPTORS


@pytest.mark.parametrize(
    ("learnt_rows", "weight", "below", "bound", "sink"),
    [(SHORT, 2.0, 1.0, 0.0, 0.0), (LONG, 1.0, 0.0, 0.5, 2.0)],
)
def test_the_network_decides_and_the_statistics_object_or_add_a_little(
    judged: Scorer, plain: Scorer, learnt_rows: int, weight: float, below: float, bound: float, sink: float
) -> None:
    profile, values = learnt(judged, learnt_rows), windows(seed=2)
    found, statistics = score(judged, profile, values), score(plain, profile, values)
    told = np.log(np.maximum(statistics.parts[:, 0], 1e-3))
    assert told.min() < below, "windows in which they object"
    assert told.max() > 1.0, "and others in which they add all that they may"
    said = np.clip(logits(judged, profile, values), -30, 30)
    said += weight * np.minimum(told - below, 0.0) + np.clip(0.5 * told, 0.0, bound)
    said += np.where(said < profile.memory[THRESHOLD][0], sink * np.minimum(told - 1.0, 0.0), 0.0)
    alarm = profile.memory[THRESHOLD][0]
    loud = statistics.parts[:, 0] / 20.0 if learnt_rows == LONG else 0.0
    np.testing.assert_allclose(found.parts[:, 0], np.maximum(np.exp((said - alarm) / 3), loud), rtol=1e-3)
    assert found.value[0] < 1.0 < found.value[-1]
    assert int(found.contributions[-1].argmax()) == GUILTY
    np.testing.assert_allclose(found.contributions.sum(axis=1), 1.0, rtol=1e-5)


def test_what_is_far_beyond_all_that_was_learnt_alarms_whatever_the_network_says(tmp_path: Path) -> None:
    silent = scorer_with(tmp_path, TinyJudge(bias=60.0))
    profile = learnt(silent, LONG)
    assert score(silent, profile, windows(seed=2)).parts[:, 0].max() < 1.0
    assert score(silent, profile, windows(seed=2, fault=1000.0)).parts[-1, 0] > 1.0


def test_a_plain_step_is_heard_unless_the_network_denies_that_anything_is_wrong(
    tmp_path: Path, plain: Scorer
) -> None:
    values = windows(seed=2, fault=25.0)
    silent = scorer_with(tmp_path / "a", TinyJudge(bias=30.0))
    unsure = scorer_with(tmp_path / "b", TinyJudge(weights={}, bias=0.75))
    step = score(plain, learnt(plain, LONG), values).parts[:, 1]
    assert step.max() > 1.0
    for rows_learnt, heard in ((SHORT, False), (LONG, True)):
        assert score(silent, learnt(silent, rows_learnt), values).parts[:, 1].max() <= 1.0
        said = score(unsure, learnt(unsure, rows_learnt), values)
        assert said.parts[:, 0].max() < 1.0, "the network alone raises no alarm"
        assert (said.parts[:, 1].max() > 1.0) == heard


def test_the_state_falls_with_the_newest_rows(tmp_path: Path) -> None:
    remembering = scorer_with(tmp_path, TinyJudge(weights={"last_128_distance": 6.0}, bias=4.0))
    profile, values = learnt(remembering), rows(500, seed=3)
    values[200:300, GUILTY] += 9.0
    seen = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(values, T, axis=0))
    found = score(remembering, profile, seen)
    during, after = 290 - T, 330 - T
    assert found.recent[during] > 1.0 > found.recent[after]
    assert found.value[after] > 0.1 * found.value[during]  # the window still remembers the fault
    assert found.recent[after] < 0.05 * found.recent[during]


def test_without_a_judge_all_is_as_if_there_were_no_such_detector(plain: Scorer, profile: Profile) -> None:
    values = windows(seed=4)
    found = score(plain, profile, values)
    expected = WITHOUT.score(profile.memory, values, None)
    for name in ("value", "recent", "parts", "contributions"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_a_machine_that_was_learnt_before_goes_on_as_it_was(judged: Scorer, profile: Profile) -> None:
    older = replace(
        profile, memory={n: a for n, a in profile.memory.items() if not n.startswith("in_context")}
    )
    values = windows(seed=5)
    expected = WITHOUT.score(older.memory, values, None)
    np.testing.assert_array_equal(score(judged, older, values).value, expected.value)
    np.testing.assert_array_equal(score(judged, older, values).recent, expected.recent)


def test_a_machine_that_was_learnt_without_the_judge_has_the_threshold_of_the_bundle(
    judged: Scorer, plain: Scorer
) -> None:
    earlier, values = learnt(plain), windows(seed=6)
    assert THRESHOLD not in earlier.memory
    assert "in_context_square" in earlier.memory
    found, statistics = score(judged, earlier, values), score(plain, earlier, values)
    objected = 2.0 * np.minimum(np.log(np.maximum(statistics.parts[:, 0], 1e-3)) - 1.0, 0.0)
    said = np.clip(logits(judged, earlier, values), -30, 30) + objected
    np.testing.assert_allclose(found.parts[:, 0], np.exp(said / 3), rtol=1e-3)


def test_the_packed_memory_is_judged_as_the_whole_one(judged: Scorer, profile: Profile) -> None:
    values = windows(seed=7)
    assert "in_context_codes" in profile.memory
    request = CommissionRequest("m", NAMES, rows(SHORT, seed=1), SECOND, 4, SHORT * SECOND)
    with mock.patch.object(ENSEMBLE, "compact", dict):
        whole = learn(request, scorer=judged, settings=SETTINGS)
    assert "in_context_bank" in whole.memory
    np.testing.assert_array_equal(whole.memory[THRESHOLD], profile.memory[THRESHOLD])
    one, other = score(judged, whole, values), score(judged, profile, values)
    np.testing.assert_allclose(other.value, one.value, rtol=0.03, atol=0.01)


def test_machines_that_are_due_together_are_judged_as_each_alone(judged: Scorer) -> None:
    machines = [
        learnt(judged, n_rows, machine=f"m{seed}", seed=seed)
        for seed, n_rows in enumerate((SHORT, LONG, 1000))
    ]
    values = windows(seed=8, step=80)
    blocks = [
        block_of(each, values[-1 - at : len(values) - at or None][:1]) for at, each in enumerate(machines)
    ]
    together = judged.score(blocks, machines)
    for block, each, joint in zip(blocks, machines, together, strict=True):
        (alone,) = judged.score([block], [each])
        for name in ("value", "recent", "contributions"):
            np.testing.assert_allclose(getattr(joint, name), getattr(alone, name), rtol=1e-3, atol=1e-5)
    assert len({float(joint.value[0]) for joint in together}) == len(machines)


def test_a_hidden_channel_is_not_judged(judged: Scorer, profile: Profile) -> None:
    values = windows(seed=9)
    found = score(judged, profile, values, hidden=(GUILTY,))
    assert found.value.max() < 1.0 < score(judged, profile, values).value.max()
    assert not found.contributions[:, GUILTY].any()
    unseen = values.copy()
    unseen[:, GUILTY] = np.nan
    assert not score(judged, profile, unseen).contributions[:, GUILTY].any()


def test_where_no_channel_was_observed_or_the_network_says_no_number_the_statistics_decide(
    judged: Scorer, plain: Scorer, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = windows(seed=10)
    values[0] = np.nan
    expected = score(plain, profile, values)
    assert score(judged, profile, values).value[0] == expected.value[0]

    def no_number(channels: Float32, *_: np.ndarray) -> tuple[Float32, Float32]:
        return np.full(len(channels), np.nan, np.float32), np.full(channels.shape[:2], np.nan, np.float32)

    monkeypatch.setitem(judged.__dict__, "judge", replace(judged.judge, ask=no_number))
    np.testing.assert_array_equal(score(judged, profile, values).value, expected.value)


def test_on_a_machine_unlike_all_that_it_was_trained_on_the_statistics_decide(
    tmp_path: Path, plain: Scorer
) -> None:
    foreign = scorer_with(tmp_path, TinyJudge(familiar=0.01))
    profile, values = learnt(foreign), windows(seed=11)
    for name in ("value", "recent", "contributions"):
        np.testing.assert_array_equal(
            getattr(score(foreign, profile, values), name), getattr(score(plain, profile, values), name)
        )


def test_a_machine_s_own_normal_windows_may_raise_the_threshold_and_never_lower_it(tmp_path: Path) -> None:
    excited = scorer_with(tmp_path / "a", TinyJudge(bias=-5.0))
    calm = scorer_with(tmp_path / "b", TinyJudge(bias=60.0, threshold=-1.0, state_threshold=-2.0))
    raised = learnt(excited)
    alarm, identity = raised.memory[THRESHOLD]
    assert alarm > 5.0
    assert identity == excited.bundle.judge.identity
    assert score(excited, raised, windows(seed=12, fault=0.0)).value.max() < 1.0
    assert learnt(calm).memory[THRESHOLD][0] == -1.0


def test_a_threshold_that_was_raised_for_another_judge_counts_no_more(tmp_path: Path) -> None:
    excited = scorer_with(tmp_path / "a", TinyJudge(bias=-5.0))
    other = scorer_with(tmp_path / "b", TinyJudge(bias=-5.001))
    raised, values = learnt(excited), windows(seed=13, fault=0.0)
    assert score(excited, raised, values).value.max() < 1.0 < score(other, raised, values).value.max()


def test_normal_scores_that_drift_is_told_by_are_those_that_alarm(judged: Scorer, long: Profile) -> None:
    calm = score(judged, long, windows(seed=14, fault=0.0, n_rows=2000))
    edges = long.memory["drift/edges"][-1]
    assert edges[1] < np.median(calm.value) < edges[-2]


def alarms(scorer: Scorer) -> list[Alarm]:
    profile = learnt(scorer)
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS, profiles=[profile])
    values = rows(700, seed=15)
    values[400:520, GUILTY] += 9.0
    return list(_raised(pipeline, values))


def _raised(pipeline: Pipeline, values: Float32) -> Iterator[Alarm]:
    for frame in frames_of(values, start=5000, block=4, channels=NAMES):
        yield from pipeline.feed([frame]).alarms


def test_the_network_decides_which_alarms_there_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(16)
    random = TinyJudge(weights=dict(zip(CHANNEL_FEATURES, rng.normal(size=87).tolist(), strict=True)))
    trained, untrained = (
        alarms(scorer_with(tmp_path / str(at), judge)) for at, judge in enumerate((TinyJudge(), random))
    )
    assert {alarm.channels[0].name for alarm in trained} == {NAMES[GUILTY]}
    assert len({alarm.id for alarm in trained}) == 1
    told = [
        [(alarm.id, alarm.channels[0].name, round(alarm.score, 1)) for alarm in each]
        for each in (trained, untrained)
    ]
    assert told[0] != told[1]


def two_modes(n_rows: int, *, seed: int) -> Float32:
    """Channels that work for 250 rows and rest for 250."""
    values = rows(n_rows, seed=seed)
    values[:, :2] += np.where(np.arange(n_rows) // 250 % 2 == 0, 100.0, 0.0)[:, np.newaxis]
    return values.astype(np.float32)


def test_a_machine_with_operating_modes_is_judged_in_each(judged: Scorer) -> None:
    request = CommissionRequest("m", NAMES, two_modes(5000, seed=17), SECOND, 4, 5000 * SECOND)
    profile = learn(request, scorer=judged, settings=SETTINGS)
    assert "mode_channel" in profile.memory
    calm = two_modes(1500, seed=18)
    faulty = calm.copy()
    faulty[400:480, GUILTY] += 12.0  # small beside the way from mode to mode
    seen = [np.lib.stride_tricks.sliding_window_view(each, T, axis=0)[::4].copy() for each in (calm, faulty)]
    quiet, loud = (score(judged, profile, each) for each in seen)
    during = slice((410 - T) // 4, (480 - T) // 4)
    assert quiet.value.max() < 1.0 < loud.value[during].max()
    assert int(loud.contributions[during][-1].argmax()) == GUILTY


def test_of_few_rows_the_threshold_is_another() -> None:
    known = Judge(
        ask=lambda *_: (np.zeros(1, np.float32), np.zeros((1, 1), np.float32)),
        threshold=1.0,
        few_rows_threshold=2.0,
        state_threshold=-2.0,
        descriptors=np.zeros(1, np.float32),
        descriptor_spread=np.ones(1, np.float32),
        familiar=1.0,
        identity=7,
    )
    assert known.limits({}, rows=MANY_ROWS)[:2].tolist() == [1.0, -2.0]
    assert known.limits({}, rows=MANY_ROWS - 1)[:2].tolist() == [2.0, -2.0]
    raised = {THRESHOLD: np.array([2.5, 7.0])}
    assert known.limits(raised, rows=MANY_ROWS)[:2].tolist() == [2.5, -0.5]
    assert known.limits(raised, rows=MANY_ROWS - 1)[:2].tolist() == [2.5, -1.5]


@pytest.mark.parametrize(
    ("strangeness", "lower"), [(0.0, 0.0), (0.5, 0.0), (0.7, 0.6), (1.0, 1.5), (9.0, 1.5)]
)
def test_on_a_machine_that_the_network_hardly_knows_it_is_heard_sooner(
    strangeness: float, lower: float
) -> None:
    known = Judge(
        ask=lambda *_: (np.zeros(1, np.float32), np.zeros((1, 1), np.float32)),
        threshold=1.0,
        few_rows_threshold=2.0,
        state_threshold=-2.0,
        descriptors=np.zeros(2, np.float32),
        descriptor_spread=np.ones(2, np.float32),
        familiar=1.0,
        identity=7,
    )
    arrays = {DESCRIPTORS: np.array([-strangeness, strangeness], np.float32)}
    for rows_learnt, usual in ((MANY_ROWS, 1.0), (MANY_ROWS - 1, 2.0)):
        found = known.limits(arrays, rows=rows_learnt)
        assert found[:2].tolist() == pytest.approx([usual - lower, -2.0])
    raised = arrays | {THRESHOLD: np.array([1.25, 7.0])}
    assert known.limits(raised, rows=MANY_ROWS)[1] == pytest.approx(-2.0 + 0.25 + lower), (
        "as much as the alarm's"
    )


def test_what_does_not_alarm_is_in_the_order_of_the_statistics_too_and_no_alarm_changes() -> None:
    logit = np.array([0.9, 0.9, 0.9, 1.1, 1.1], np.float32)
    value = np.exp(np.array([1.0, 0.5, 0.0, 0.5, 0.0], np.float32))
    given = np.array([0.0, 0.0, np.inf, 1.0, 0.0, 0.0, 2.0], np.float32)
    told = ordered(logit, np.float32(1.0), value, objection=given)
    np.testing.assert_allclose(told, [0.9, -0.1, -1.1, 1.1, 1.1], rtol=1e-5)


def test_of_few_rows_an_alarm_takes_more_than_the_threshold() -> None:
    lifts = [objection(rows_learnt).lift for rows_learnt in (999, 1000, 2999, 3000)]
    assert lifts == [0.2, 0.0, 0.0, 0.0]
    for lift in (0.2, 0.0):
        given = np.array(objection(3000)._replace(lift=lift), np.float32)
        found = alarm_logit(np.array([2.0], np.float32), np.ones(1, np.float32), objection=given)
        assert found[0] == pytest.approx(2.0 - lift)
