"""Measures agree with the reference implementation, with scikit-learn, and with counting by hand."""

import os
from pathlib import Path

import numpy as np
import pytest
from edge_trainer.evaluation.measures import (
    affiliation,
    auc_pr,
    auc_roc,
    calibration_error,
    confusion,
    event_measures,
    macro_f1,
    period,
    point_measures,
    rank_measures,
    segments,
    vus,
)
from sklearn import metrics


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    root = Path(__file__).parents[3]
    path = (
        Path(os.environ.get("EDGE_AGENT_DATA", root / "../shared/data")) / "tsb_ad_m/reference_measures.npz"
    )
    if not path.exists():
        reason = f"{path} is absent: set EDGE_AGENT_DATA to the folder of recordings"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


@pytest.mark.data
def test_all_four_rank_measures_agree_with_the_reference_implementation(
    reference: dict[str, np.ndarray],
) -> None:
    offset = reference["offset"]
    assert len(offset) == 25
    for case, window_rows in enumerate(reference["window"]):
        rows = slice(offset[case], offset[case + 1])
        found = rank_measures(
            reference["score"][rows], reference["label"][rows], window_rows=int(window_rows)
        )
        for name in ("auc_roc", "auc_pr", "vus_roc", "vus_pr"):
            assert getattr(found, name) == pytest.approx(reference[name][case], abs=1e-6), (case, name)


@pytest.mark.data
def test_the_period_agrees_with_the_reference_implementation(reference: dict[str, np.ndarray]) -> None:
    offset = reference["signal_offset"]
    found = [period(reference["signal"][offset[i] : offset[i + 1]]) for i in range(len(offset) - 1)]
    assert found == reference["period"].tolist()


def loop_vus(score: np.ndarray, label: np.ndarray, window_rows: int) -> tuple[float, float]:
    """The definition row by row: every tolerance, every threshold."""
    events = segments(label)
    ordered = np.sort(score)[::-1]
    levels = [ordered[i] for i in np.linspace(0, score.size - 1, 250).astype(int)]
    areas = []
    for tolerance in range(window_rows + 1):
        soft = label.astype(float).copy()
        half = tolerance // 2
        for start, end in events:
            for away in range(1, half + 1):
                for row in (start - away, end - 1 + away):
                    if 0 <= row < label.size:
                        soft[row] += np.sqrt(1 - away / tolerance)
        soft = np.minimum(soft, 1.0)
        wide = [[max(start - half, 0), end + half] for start, end in events]
        merged = [wide[0]]
        for start, end in wide[1:]:
            if merged[-1][1] - 1 < start:
                merged.append([start, end])
            else:
                merged[-1][1] = end
        roc, pr, before = 0.0, 0.0, (0.0, 0.0)
        for level in levels:
            raised = score >= level
            hits = float(np.sum(soft[raised]))
            wanted = (label.sum() + label.sum() + np.sum(soft[raised & (label == 0)])) / 2
            existence = np.mean([raised[start:end].any() for start, end in merged])
            tpr = min(hits / wanted, 1.0) * existence
            fpr = (raised.sum() - hits) / (label.size - wanted)
            roc += (fpr - before[1]) * (tpr + before[0]) / 2
            pr += (tpr - before[0]) * hits / raised.sum()
            before = (tpr, fpr)
        roc += (1 - before[1]) * (1 + before[0]) / 2
        areas.append((roc, pr))
    return float(np.mean([a[0] for a in areas])), float(np.mean([a[1] for a in areas]))


@pytest.mark.parametrize("seed", range(4))
def test_vus_agrees_with_its_definition_row_by_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = np.zeros(300, np.int64)
    for start in rng.integers(0, 295, 4):
        label[start : start + rng.integers(1, 25)] = 1
    score = np.round(rng.random(300) + 0.3 * label, 2)
    assert vus(score, label, window_rows=12) == pytest.approx(loop_vus(score, label, 12), abs=1e-9)


def test_events_at_both_ends_of_the_rows_are_counted() -> None:
    label = np.zeros(100, np.int64)
    label[:5] = label[-5:] = 1
    assert vus(label.astype(float), label, window_rows=6) == pytest.approx(
        loop_vus(label.astype(float), label, 6), abs=1e-9
    )


def test_vus_without_an_event_is_undefined() -> None:
    assert np.isnan(vus(np.arange(10.0), np.zeros(10), window_rows=3)).all()


@pytest.mark.parametrize("decimals", [1, 8], ids=["many ties", "no ties"])
def test_areas_agree_with_scikit_learn(decimals: int) -> None:
    rng = np.random.default_rng(1)
    label = rng.random(500) < 0.2
    score = np.round(rng.random(500) + 0.4 * label, decimals)
    assert auc_roc(score, label) == pytest.approx(metrics.roc_auc_score(label, score))
    assert auc_pr(score, label) == pytest.approx(metrics.average_precision_score(label, score))


def test_the_period_of_a_sine_is_its_period_and_noise_free_flat_lines_have_none() -> None:
    assert period(np.sin(2 * np.pi * np.arange(3000) / 60)) == 60
    assert period(np.ones(1000)) == 125


def test_point_measures_by_hand() -> None:
    found = point_measures([1, 1, 0, 0, 1, 0], [1, 1, 1, 0, 0, 0])
    assert (found.precision, found.recall, found.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (found.far, found.mar) == pytest.approx((1 / 3, 1 / 3))


def test_event_measures_by_hand() -> None:
    label = np.zeros(100, np.int64)
    label[10:20] = label[50:60] = label[80:90] = 1
    alarm = np.zeros(100, bool)
    alarm[[13, 16, 30, 62, 70, 72]] = True
    found = event_measures(alarm, label, rows_per_week=70.0, merge_rows=3, grace_rows=5)
    assert (found.n_events, found.n_found, found.n_alarms, found.n_false_alarms) == (3, 2, 4, 2)
    assert (found.recall, found.precision) == pytest.approx((2 / 3, 1 / 2))
    assert found.delay_rows[:2].tolist() == [3.0, 12.0]
    assert np.isnan(found.delay_rows[2])
    assert found.false_alarms_per_week == pytest.approx(2.0)


def test_no_alarm_and_no_event_give_undefined_shares_not_errors() -> None:
    found = event_measures(np.zeros(10), np.zeros(10), rows_per_week=10.0)
    assert np.isnan(found.recall)
    assert np.isnan(found.precision)
    assert found.false_alarms_per_week == 0.0


def test_confusion_and_macro_f1_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(6)
    true, guess = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    matrix = confusion(guess, true, n_classes=5)
    assert matrix[:4, :4].tolist() == metrics.confusion_matrix(true, guess).tolist()
    assert macro_f1(matrix) == pytest.approx(metrics.f1_score(true, guess, average="macro"))


def test_calibration_error_is_zero_when_confidence_is_kept_and_large_when_boasted() -> None:
    kept = np.tile([0.75, 0.25], (400, 1))
    true = np.array([0, 0, 0, 1] * 100)
    assert calibration_error(kept, true) == pytest.approx(0.0, abs=1e-9)
    assert calibration_error(np.tile([1.0, 0.0], (400, 1)), true) == pytest.approx(0.25)


def test_affiliation_is_one_for_the_event_itself_and_falls_with_distance() -> None:
    label = np.zeros(400, np.int64)
    label[200:230] = 1
    near, far = np.zeros(400, bool), np.zeros(400, bool)
    near[235:250] = True
    far[20:35] = True
    assert affiliation(label > 0, label) == pytest.approx((1.0, 1.0))
    assert 1.0 > affiliation(near, label)[0] > affiliation(far, label)[0]
    assert np.isnan(affiliation(near, np.zeros(400))).all()
    precision, recall = affiliation(np.zeros(400, bool), label)
    assert np.isnan(precision)
    assert recall == 0.0
