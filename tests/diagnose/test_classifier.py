"""Naming faults from few examples: what must hold for one example, for strength, for unknown faults."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.commissioning.baseline import commission
from edge_agent.diagnose.classifier import classify, describe, learn
from edge_agent.errors import UsageError

T, C, F, K = 64, 5, 60, 4


def relation(
    rng: np.random.Generator, n_windows: int, *, strength: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Windows [N, F] of K faults with random strength, drowned in a movement that every window has."""
    chosen = np.random.default_rng(5)
    faults, drift = chosen.standard_normal((K, F)), chosen.standard_normal((6, F))
    labels = np.tile(np.arange(K), -(-n_windows // K))[:n_windows]
    power = np.full(n_windows, strength) if strength else rng.uniform(1.0, 3.0, n_windows)
    moved = 4.0 * rng.standard_normal((n_windows, 6)) @ drift
    noise = 0.3 * rng.standard_normal((n_windows, F))
    return (power[:, None] * faults[labels] + moved + noise).astype(np.float32), labels


def usual(rng: np.random.Generator, n_windows: int) -> np.ndarray:
    drift = np.random.default_rng(5).standard_normal((K + 6, F))[K:]
    moved = 4.0 * rng.standard_normal((n_windows, 6)) @ drift
    return (moved + 0.3 * rng.standard_normal((n_windows, F))).astype(np.float32)


def accuracy(faults: dict[str, np.ndarray], seed: int) -> float:
    windows, labels = relation(np.random.default_rng(seed), 200)
    probability, _ = classify(faults, windows)
    return float(np.mean(faults["classes"][probability.argmax(axis=1)] == labels))


def test_one_example_a_class_is_enough_once_normal_windows_show_what_moves_anyway() -> None:
    rng = np.random.default_rng(0)
    examples, labels = relation(rng, K)
    blind = dict(learn(examples, labels, normal=None, seed=0))
    taught = dict(learn(examples, labels, normal=usual(rng, 300), seed=0))
    assert accuracy(taught, seed=1) > 0.98
    assert accuracy(taught, seed=1) > accuracy(blind, seed=1) + 0.2


def test_pairs_of_neighbours_teach_the_same_without_a_normal_recording() -> None:
    rng = np.random.default_rng(1)
    examples, labels = relation(rng, K)
    pairs = np.stack([usual(rng, 300), usual(rng, 300)], axis=1)
    pairs += 3.0 * relation(rng, 300, strength=1.0)[0][:, None]  # the pairs' common state must cancel out
    taught = dict(learn(examples, labels, normal=None, seed=0, pairs=pairs))
    assert accuracy(taught, seed=2) > 0.98


def test_more_examples_find_the_one_number_that_no_direction_shows() -> None:
    rng = np.random.default_rng(8)
    windows = rng.standard_normal((400, 20)).astype(np.float32)
    labels = (np.abs(windows[:, 3]) > 0.7).astype(np.int64)  # both sides of a number are the same fault
    windows[:, 3] *= 3
    few = np.concatenate([np.flatnonzero(labels == label)[:40] for label in (0, 1)])
    faults = learn(windows[few], labels[few], normal=None, seed=0)
    rest = np.setdiff1d(np.arange(400), few)
    probability, _ = classify(faults, windows[rest])
    linear = (windows[rest] / np.linalg.norm(windows[rest], axis=1)[:, None]) @ faults["head"].T
    with_trees = np.mean(probability.argmax(axis=1) == labels[rest])
    assert with_trees > np.mean(linear.argmax(axis=1) == labels[rest]) + 0.1


def test_the_seed_decides_everything() -> None:
    rng = np.random.default_rng(9)
    examples, labels = relation(rng, 20)
    quiet = usual(rng, 1500)  # more than are looked at
    first, second = (learn(examples, labels, normal=quiet, seed=3) for _ in range(2))
    other = learn(examples, labels, normal=quiet, seed=4)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
    assert not np.array_equal(first["head"], other["head"])


def test_a_fault_is_recognised_at_another_strength() -> None:
    rng = np.random.default_rng(2)
    examples, labels = relation(rng, K, strength=1.0)
    faults = learn(examples, labels, normal=usual(rng, 300), seed=0)
    strong, truth = relation(rng, 80, strength=8.0)
    assert (faults["classes"][classify(faults, strong)[0].argmax(axis=1)] == truth).all()


def test_a_single_example_of_a_single_class_is_certain_of_the_class_but_not_of_the_window() -> None:
    rng = np.random.default_rng(3)
    examples, labels = relation(rng, 200)
    faults = learn(examples[:1], labels[:1], normal=usual(rng, 300), seed=0)
    probability, known = classify(faults, examples)
    assert probability.shape == (200, 1)
    assert (probability == 1.0).all()
    assert known[0] == pytest.approx(1.0, abs=1e-5)
    assert known[labels == labels[0]].min() > known[labels != labels[0]].max()


def test_an_unknown_fault_is_less_known_than_the_learnt_ones() -> None:
    rng = np.random.default_rng(4)
    examples, labels = relation(rng, 3 * K)
    learnt = labels != 2
    faults = learn(examples[learnt], labels[learnt], normal=usual(rng, 300), seed=0)
    windows, truth = relation(rng, 400)
    _, known = classify(faults, windows)
    new, old = known[truth == 2], known[truth != 2]
    assert np.mean(old[:, None] > new[None, :]) > 0.95  # the area under the ROC curve, by its definition


def test_a_strong_fault_that_no_example_explains_is_less_known_than_a_weak_one_that_is_near_noise() -> None:
    rng = np.random.default_rng(10)
    examples, labels = relation(rng, 3 * K)
    quiet = usual(rng, 300)
    faults = learn(examples, labels, normal=quiet, seed=0)
    towards, aside = (
        np.random.default_rng(seed).standard_normal((1, F)).astype(np.float32) for seed in (5, 11)
    )
    alike = towards * np.array([[1.0], [8.0]], np.float32) + 0.5 * aside * np.array(
        [[1.0], [8.0]], np.float32
    )
    _, known = classify(faults, quiet.mean(axis=0) + alike)
    assert (
        known[0] > 1.5 * known[1]
    )  # the same direction: what strays from the example is eight times as much


def machine(seed: int, *, mixed: bool) -> tuple[np.ndarray, np.ndarray]:
    """(normal windows, which hold all faults where they are mixed; their neighbours in time)."""
    rng = np.random.default_rng([seed, 1])
    normal = relation(rng, 200)[0] if mixed else usual(rng, 200)
    faulty = relation(rng, 200)[0]
    return normal, np.stack([faulty, faulty + 0.3 * usual(rng, 200)], axis=1)


def right(seed: int, n_each: int, *, mixed: bool) -> float:
    """Share of windows that are named right after so many labels a class, each a case of its own."""
    normal, pairs = machine(seed, mixed=mixed)
    examples, labels = relation(np.random.default_rng([seed, 2]), n_each * K)
    return accuracy(dict(learn(examples, labels, normal=normal, pairs=pairs, seed=0)), seed=100 + seed)


@pytest.mark.parametrize("mixed", [False, True])
def test_a_fifth_label_is_no_worse_than_the_first_and_more_are_no_worse_than_five(*, mixed: bool) -> None:
    one, five, ten = (
        np.mean([right(seed, n_each, mixed=mixed) for seed in range(4)]) for n_each in (1, 5, 10)
    )
    assert five >= one - 0.01
    assert ten >= five - 0.01
    assert one > 0.6


def test_normal_windows_that_hold_the_faults_are_not_believed() -> None:
    examples, labels = relation(np.random.default_rng(12), 3 * K)
    says = []
    for mixed in (False, True):
        normal, pairs = machine(12, mixed=mixed)
        faults = dict(learn(examples, labels, normal=normal, pairs=pairs, seed=0))
        says.append(float(faults.get("weight", 0.0)))
        assert accuracy(faults, seed=3) > 0.9
    assert says[0] > 0.8
    assert says[1] < 0.5


def test_the_head_is_at_the_minimum_of_its_loss() -> None:
    rng = np.random.default_rng(5)
    examples, labels = relation(rng, 22)
    faults = learn(examples, labels, normal=usual(rng, 100), seed=0)
    points, weights = faults["examples"].astype(np.float64), faults["head"].astype(np.float64)
    counts = np.bincount(labels)

    def loss(head: np.ndarray) -> float:
        logits = points @ head.T
        given = logits[np.arange(len(labels)), labels] - np.log(np.exp(logits).sum(axis=1))
        return float(
            0.5 * (head**2).sum() - 100.0 * len(labels) / len(counts) * (given / counts[labels]).sum()
        )

    at = loss(weights)
    for _ in range(20):
        step = rng.standard_normal(weights.shape)
        assert loss(weights + 0.1 * step / np.linalg.norm(step)) > at


def test_labels_may_be_any_integers_and_unequally_many() -> None:
    rng = np.random.default_rng(6)
    examples, labels = relation(rng, 40)
    kept = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:1]])
    names = np.where(labels == 0, -7, 40)
    faults = learn(examples[kept], names[kept], normal=usual(rng, 300), seed=0)
    assert faults["classes"].tolist() == [-7, 40]
    few = labels < 2
    found = faults["classes"][classify(faults, examples[few])[0].argmax(axis=1)]
    assert np.mean(found == names[few]) > 0.95


@pytest.mark.parametrize(
    ("described", "labels"), [(np.empty((0, F)), []), (np.ones((2, F)), [1]), (np.ones(F), [1])]
)
def test_examples_without_labels_are_refused(described: np.ndarray, labels: list[int]) -> None:
    with pytest.raises(UsageError):
        learn(described.astype(np.float32), np.array(labels, np.int64), normal=None, seed=0)


@settings(max_examples=30)
@given(
    n_examples=st.integers(1, 12),
    n_normal=st.integers(0, 5),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e6]),
)
def test_whatever_is_learnt_the_answer_is_a_probability(
    n_examples: int, n_normal: int, seed: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    examples = (scale * rng.standard_normal((n_examples, 7))).astype(np.float32)
    quiet = (scale * rng.standard_normal((n_normal, 7))).astype(np.float32)
    faults = learn(examples, rng.integers(0, 3, n_examples), normal=quiet, seed=0)
    probability, known = classify(faults, (scale * rng.standard_normal((9, 7))).astype(np.float32))
    assert probability.shape == (9, len(faults["classes"]))
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, rtol=1e-5)
    assert ((known >= 0) & (known <= 1)).all()


def rows_of(seed: int, *, fault: str | None = None) -> np.ndarray:
    """A machine of 5 channels, two of which move together; a fault shifts one or parts the two."""
    rng = np.random.default_rng(seed)
    load = np.convolve(rng.standard_normal(1009), np.ones(10) / 3.2, mode="valid")
    rows = 20.0 + 0.3 * rng.standard_normal((1000, C))
    rows[:, 0] += load
    rows[:, 1] += load
    if fault == "shift":
        rows[:, 3] += 2.0
    if fault == "rough":
        rows[:, 4] += rng.standard_normal(1000)
    return rows.astype(np.float32)


def windows_of(rows: np.ndarray, hop: int = 16) -> np.ndarray:
    return np.stack([rows[start : start + T].T for start in range(0, len(rows) - T, hop)])


def test_from_rows_to_a_name_with_hidden_cells() -> None:
    memory = commission(
        rows_of(1), window_rows=T, encode=None, budget_per_week=1.0, windows_per_week=1000.0, seed=0
    )
    rng = np.random.default_rng(7)
    shift, rough = windows_of(rows_of(2, fault="shift")), windows_of(rows_of(3, fault="rough"))
    quiet = describe(memory, windows_of(rows_of(1)), None)
    examples = describe(memory, np.stack([shift[3], rough[3]]), None)
    faults = learn(examples, np.array([0, 1]), normal=quiet, seed=0)
    tested = np.concatenate([windows_of(rows_of(4, fault="shift")), windows_of(rows_of(5, fault="rough"))])
    truth = np.repeat([0, 1], len(tested) // 2)
    tested[rng.random(tested.shape) < 0.1] = np.nan
    described = describe(memory, tested, None)
    assert np.isfinite(described).all()
    assert np.mean(classify(faults, described)[0].argmax(axis=1) == truth) > 0.95


def test_a_normal_window_is_described_as_near_zero_and_a_fault_as_far() -> None:
    memory = commission(
        rows_of(1), window_rows=T, encode=None, budget_per_week=1.0, windows_per_week=1000.0, seed=0
    )
    normal_size = np.abs(describe(memory, windows_of(rows_of(8)), None)).mean()
    faulty = describe(memory, windows_of(rows_of(9, fault="shift")), None).reshape(-1, C, 14)
    assert np.abs(faulty[:, 3, 0]).min() > 2 * normal_size  # the mean of the shifted channel
