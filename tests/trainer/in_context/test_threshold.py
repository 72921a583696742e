"""The threshold: the smallest at which fresh calm machines keep the budget, with the delays of a gateway."""

from dataclasses import replace

import numpy as np
import pytest
from edge_trainer.in_context import fresh, threshold
from edge_trainer.in_context.fresh import Watched
from edge_trainer.in_context.injections import Injected

from edge_agent.errors import TrainingError

HOP = 4
CALM_WINDOWS = 4000


def watched(
    logit: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    *,
    faults: tuple[Injected, ...] = (),
    value: float = np.e,
    context_rows: int = 600,
    lift: float = 0.2,
) -> Watched:
    """Machine of `context_rows`, whose logits are `logit` when what they are lifted by is taken off."""
    count = len(logit)
    return Watched(
        family="pump",
        context_rows=context_rows,
        period_s=10.0,
        rows=1000 + HOP * np.arange(count),
        logits={"judge": logit + np.float32(lift)},
        parts=np.full((count, 2), value, np.float32),
        shape=np.ones(count, np.float32),
        judged=np.ones(count, np.bool_),
        faults=faults,
    )


def calm(**blips: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Logits of -3 with blips of so many windows (`w5=4.0`: five windows of 4), far from one another."""
    logit = np.full(CALM_WINDOWS, -3.0, np.float32)
    for number, (name, level) in enumerate(blips.items()):
        at = 500 * (number + 1)
        logit[at : at + int(name[1:])] = level
    return logit


def test_alarms_open_and_close_with_delay() -> None:
    flags = np.zeros(60, np.bool_)
    flags[[5, 10, 11, 12, 20, 40]] = True
    assert fresh.merged(flags, on_delay=2, off_delay=15) == [(11, 35)]
    assert fresh.merged(flags, on_delay=1, off_delay=3) == [(5, 8), (10, 15), (20, 23), (40, 43)]
    assert fresh.joined_spans([(5, 8), (10, 15), (20, 23)], gap=4) == [(5, 15), (20, 23)]


def test_one_window_alone_is_no_alarm() -> None:
    reached = threshold.quality([watched(calm(w1=9.0))], "judge", 0.0)
    assert reached.false_alarms == 0
    assert reached.quiet == 1


def test_the_smallest_threshold_that_keeps_the_budget() -> None:
    often = [watched(calm(w5=1.0, w6=2.05, w7=4.05)) for _ in range(9)]
    mad = watched(calm(w5=9.0, w6=9.05, w7=9.0))
    strict = threshold.smallest(often, "judge", quiet=1.0, calm_share=1.0)
    assert strict.threshold == pytest.approx(4.1)
    assert (strict.false_alarms, strict.quiet) == (0, 1)
    same = threshold.smallest([*often, mad], "judge", quiet=0.9, calm_share=1.0)
    assert same.threshold == pytest.approx(4.1), "one of ten may be mad, whatever it does"
    assert same.quiet == pytest.approx(0.9)


def test_what_became_another_machine_is_not_calm() -> None:
    changed = watched(calm(w900=5.0))
    changed.judged[500:] = False
    reached = threshold.quality([changed], "judge", 2.0)
    assert (reached.false_alarms, reached.calm_share) == (0, 0)


def test_time_in_alarm_has_a_bound_of_its_own() -> None:
    machines = [watched(calm(w900=1.0))]
    reached = threshold.smallest(machines, "judge", quiet=0.0, calm_share=0.1)
    assert reached.threshold == pytest.approx(1.0), "above it"
    assert reached.calm_share == 0


def test_an_alarm_of_a_fault_is_found_and_not_false() -> None:
    logit = calm()
    logit[1000:1050] = 5.0
    fault = Injected("wear", 1000 + HOP * 1000, 1000 + HOP * 1040, np.array([True]))
    reached = threshold.quality([watched(logit, faults=(fault,))], "judge", 2.0)
    assert (reached.found, reached.false_alarms, reached.calm_share) == (1.0, 0.0, 0.0)
    assert threshold.quality([watched(calm(), faults=(fault,))], "judge", 2.0).found == 0.0


def test_the_statistics_object_as_on_a_gateway() -> None:
    def score(value: float, rows: int) -> float:
        return float(
            threshold.score_of(watched(calm(), value=value, context_rows=rows, lift=0.0), "judge")[0]
        )

    assert score(1.0, 3000) == pytest.approx(-3.0)
    assert score(np.exp(-1.0), 3000) == pytest.approx(-4.0)
    assert score(np.exp(0.4), 3000) == pytest.approx(-2.8), (
        "half a logit for each e-fold above their threshold"
    )
    assert score(9.0, 3000) == score(99.0, 3000) == pytest.approx(-2.5), "and never more than that"
    assert score(9.0, 2999) == pytest.approx(-3.0), "of fewer rows they add nothing"
    assert score(1.0, 2999) == pytest.approx(-5.0), "and ask for e times their threshold"
    assert score(np.exp(0.5), 999) == pytest.approx(-3.2)
    assert score(1.0, 999) == pytest.approx(-3.7), (
        "of few rows they ask for a little more than their threshold"
    )
    assert threshold.score_of(watched(calm(), value=1.0), threshold.STATISTICS)[0] == pytest.approx(0.0)


def test_without_machines_or_hope_there_is_no_threshold() -> None:
    with pytest.raises(TrainingError, match="no fresh machine"):
        threshold.smallest([], "judge", quiet=0.9, calm_share=1.0)
    with pytest.raises(TrainingError, match="no threshold"):
        threshold.smallest([watched(calm(w9=99.0))], "judge", quiet=1.0, calm_share=0.0)


def test_machines_learnt_from_few_rows_have_a_threshold_of_their_own() -> None:
    few = [watched(calm(w9=3.0 if number else 5.0), context_rows=600) for number in range(4)]
    many = [watched(calm(w9=2.0), value=1.0, context_rows=6000, lift=0.0) for _ in range(4)]
    limits = threshold.by_rows([*few, *many], "judge", few_rows_quiet=0.75, quiet=1.0, calm_share=1.0)
    assert limits.few == pytest.approx(3.0)
    assert limits.many == pytest.approx(2.0)
    assert threshold.by_rows(
        few, "judge", few_rows_quiet=1.0, quiet=0.75, calm_share=1.0
    ).many == pytest.approx(3.0)
    told = threshold.quality([*few, *many], "judge", threshold.Limits(few=9.0, many=0.0))
    assert told.quiet == pytest.approx(0.5)


def test_no_threshold_is_below_the_least() -> None:
    assert (
        threshold.smallest([watched(calm())], "judge", quiet=1.0, calm_share=1.0).threshold == threshold.LEAST
    )


def test_what_a_machine_asks_for_itself_counts() -> None:
    loud = watched(calm(w9=5.0))
    assert threshold.quality([loud], "judge", 1.0).quiet == 0.0
    assert threshold.quality([replace(loud, own={"judge": 5.5})], "judge", 1.0).quiet == 1.0
