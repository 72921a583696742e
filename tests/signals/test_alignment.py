"""Rows on a grid do not depend on the order in which samples come, as long as none is later than the lateness."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.records import Frame
from edge_agent.signals.alignment import Aligner

SECOND = 1_000_000_000
CHANNELS = ("a", "b")
RULES = st.sampled_from(["mean", "hold", "linear", "count"])


def aligner(rule: str, *, lateness_s: float = 5.0) -> Aligner:
    return Aligner(
        period_ns=SECOND, lateness_ns=int(lateness_s * SECOND), bridge_rows=64, rule=lambda _: rule
    )


def sent(of: Aligner, samples: list[tuple[str, int, float]]) -> tuple[np.ndarray, np.ndarray]:
    times, rows = [], []
    for channel, time_ns, value in samples:
        of.add(Frame("m", (channel,), [time_ns], [[value]]))
        new_times, new_rows = of.take(CHANNELS)
        times += new_times.tolist()
        rows += new_rows.tolist()
    return np.array(times), np.array(rows, np.float32).reshape(-1, 2)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), RULES)
def test_order_within_the_lateness_and_repeats_change_nothing(seed: int, rule: str) -> None:
    rng = np.random.default_rng(seed)
    times = np.unique(rng.integers(0, 40 * SECOND, 120))
    samples = [(CHANNELS[rng.integers(2)], int(t), float(rng.normal())) for t in times]
    marker = [("a", 60 * SECOND, 0.0)]
    arrival = times + rng.integers(0, 2 * SECOND, len(times))
    first = [samples[0]]  # the first row given out is where the machine is first heard
    shuffled = [samples[at] for at in np.argsort(arrival) for _ in range(1 + (at % 7 == 0))]
    tidy = sent(aligner(rule), first + samples + marker)
    untidy = sent(aligner(rule), first + shuffled + marker)
    np.testing.assert_array_equal(untidy[0], tidy[0])
    np.testing.assert_array_equal(untidy[1], tidy[1])


def test_a_mean_is_that_of_the_samples_in_the_half_open_interval() -> None:
    samples = [("a", t * SECOND // 10, float(t)) for t in range(1, 101)]
    times, rows = sent(aligner("mean", lateness_s=0.0), samples)
    assert times.tolist() == [t * SECOND for t in range(1, 11)]
    np.testing.assert_allclose(rows[:, 0], [np.mean(range(10 * t - 9, 10 * t + 1)) for t in range(1, 11)])
    assert np.isnan(rows[:, 1]).all()


def test_later_than_the_lateness_is_late() -> None:
    of = aligner("mean", lateness_s=1.0)
    sent(of, [("a", 10 * SECOND, 1.0), ("a", 19 * SECOND, 1.0), ("a", 20 * SECOND, 1.0)])
    assert of.add(Frame("m", ("a",), [18 * SECOND], [[1.0]])) == "late"


@given(
    st.lists(st.tuples(st.integers(0, 2**62), st.floats(width=32, allow_infinity=False)), max_size=30), RULES
)
def test_no_times_bring_it_down(samples: list[tuple[int, float]], rule: str) -> None:
    times, _ = sent(aligner(rule), [("a", time_ns, value) for time_ns, value in samples])
    assert (np.diff(times) > 0).all()


def test_samples_of_accepted_messages_that_come_late_or_twice_are_counted() -> None:
    of = aligner("mean", lateness_s=1.0)
    sent(of, [("a", t * SECOND, 1.0) for t in (10, 19, 20)])
    of.add(Frame("m", ("a", "b"), [18 * SECOND, 21 * SECOND], [[1.0, 2.0], [1.0, float("nan")]]))
    of.add(Frame("m", ("a",), [21 * SECOND], [[5.0]]))
    of.add(Frame("m", ("a",), [30 * SECOND], [[1.0]]))
    _, rows = of.take(CHANNELS)
    assert of.lost == {"late": 2, "duplicate": 1}
    assert rows[-1, 0] == 1.0


def test_what_waits_is_given_out_before_times_begin_afresh() -> None:
    of = aligner("mean", lateness_s=5.0)
    sent(of, [("a", t * SECOND, float(t)) for t in range(100, 104)])
    times, rows = of.begin_afresh(CHANNELS)
    assert times.tolist() == [t * SECOND for t in range(100, 104)]
    assert rows[:, 0].tolist() == [100.0, 101.0, 102.0, 103.0]
    assert of.add(Frame("m", ("a",), [7 * SECOND], [[1.0]])) == "accepted"
