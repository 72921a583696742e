"""What broke is said of the channels and the swing that did, and only of those."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.diagnose.attribution import explain
from edge_agent.diagnose.attribution import reference as evidence
from edge_agent.diagnose.relations import ROWS, changed, reference
from edge_agent.records import Float32

CHANNELS = ("speed", "flow", "valve", "hum", "noise")
PERIOD_S = 2.0
UNTOLD = ""


def machine(rows: int, *, seed: int) -> Float32:
    """Flow follows speed, the valve works against it, hum swings every 16 rows, and noise is noise."""
    rng = np.random.default_rng(seed)
    kernel = np.hanning(21) / np.hanning(21).sum()
    speed = np.convolve(rng.normal(0.0, 10.0, rows + 20), kernel, mode="valid")
    hum = np.sin(2 * np.pi * np.arange(rows) / 16 + seed)
    small = rng.normal(0.0, 0.15, (4, rows))
    channels = [speed, 2 * speed + small[0], 50 - speed + small[1], hum + small[2], 5 * small[3]]
    return np.stack(channels, axis=1).astype(np.float32)


NORMAL = machine(3000, seed=1)
MEMORY = evidence(NORMAL)
ALONE = {name: part for name, part in MEMORY.items() if "line" not in name}
"""What is known of how channels move, and not of which values go together."""


def window(seed: int = 2) -> Float32:
    return machine(ROWS, seed=seed).T.copy()


def said(rows: Float32, name: str, memory: dict[str, NDArray[Any]] = ALONE) -> str:
    return changed(memory, rows, at=CHANNELS.index(name), channels=CHANNELS, period_s=PERIOD_S)


@pytest.mark.parametrize("name", CHANNELS)
def test_what_goes_on_as_it_was_is_not_called_broken(name: str) -> None:
    found = [said(window(seed), name, MEMORY) for seed in range(2, 12)]
    assert found.count(UNTOLD) >= 9


def test_a_value_that_another_channel_lets_expect_otherwise_is_told_with_both() -> None:
    rows = window()
    rows[1] += 4.0
    speed = rows[0, -8:].mean()
    told = said(rows, "flow", MEMORY)
    assert told.startswith(f"is {rows[1, -8:].mean():.4g} with speed at {speed:.4g}, where ")
    low, high = (float(word) for word in told.removesuffix(" is usual").partition("where ")[2].split(" to "))
    assert low < 2 * speed < high < low + 2


def test_nothing_is_expected_by_a_value_that_was_never_learnt() -> None:
    rows = window()
    rows[0] += 1000.0
    assert "speed at" not in said(rows, "flow", MEMORY)


def test_a_channel_that_no_longer_follows_another_is_told_with_both_figures() -> None:
    rows = window()
    rows[1] = 2 * window(seed=5)[0]
    told = said(rows, "flow")
    assert told == "no longer moves with speed (correlation usually 1.00, now 0.26)"


def test_a_channel_that_works_against_another_is_told_as_that() -> None:
    rows = window()
    rows[2] = 50 + window(seed=5)[0]
    assert said(rows, "valve").startswith("no longer moves against ")


def test_a_channel_that_stands_while_the_other_moves_is_told() -> None:
    rows = window()
    rows[1] = 0.001 * np.random.default_rng(0).normal(size=ROWS)
    assert said(rows, "flow").endswith(", but hardly at all")


def test_nothing_is_said_of_a_partner_that_stands_itself() -> None:
    rows = window()
    rows[:3] = 0.01 * np.random.default_rng(0).normal(size=(3, ROWS))
    assert said(rows, "flow") == UNTOLD


def test_a_quicker_swing_is_told_beside_the_usual_one() -> None:
    rows = window()
    rows[3] = np.sin(2 * np.pi * np.arange(ROWS) / 8)
    assert said(rows, "hum") == "swings about every 16 s, usually about every 32 s"


def test_a_swing_that_is_gone_and_one_that_is_new_are_told() -> None:
    rows = window()
    rows[3], rows[4] = window()[4], window()[3]
    assert said(rows, "hum") == "has lost its rhythm: it usually swings about every 32 s"
    assert said(rows, "noise") == "swings about every 32 s, which it did not while it was learnt"


def test_what_is_hidden_or_was_not_learnt_is_told_plainly() -> None:
    rows = window()
    rows[0] = np.nan
    assert said(rows, "speed") == UNTOLD
    assert "speed" not in said(rows, "flow")
    assert changed({}, window(), at=1, channels=CHANNELS) == UNTOLD
    assert changed(MEMORY, window()[:, :50], at=1, channels=CHANNELS) == UNTOLD
    assert reference(NORMAL[:500]) == {}


def test_one_channel_alone_has_rhythms_and_no_relations() -> None:
    memory = reference(NORMAL[:, 3:4])
    assert "evidence/partner" not in memory
    rows = np.sin(2 * np.pi * np.arange(ROWS) / 8, dtype=np.float32)[np.newaxis]
    assert (
        changed(memory, rows, at=0, channels=["hum"])
        == "swings about every 8 rows, usually about every 16 rows"
    )


def test_evidence_tells_what_broke_where_no_plainer_word_fits() -> None:
    memory = {"location": NORMAL.mean(axis=0), "scale": NORMAL.std(axis=0), **evidence(NORMAL)}
    rows = window()
    rows[1] = rows[1, ::-1]
    shares = np.array([0.1, 0.9, 0.0, 0.0, 0.0], np.float32)
    flow, speed = explain(memory, channels=CHANNELS, window=rows, contributions=shares, most=2, period_s=2.0)
    assert (flow.name, flow.symptom) == ("flow", "unusual pattern")
    assert flow.detail.startswith(("no longer moves ", "is "))
    assert speed.symptom == "unusual pattern" or speed.detail == ""
