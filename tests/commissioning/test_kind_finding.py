"""What kind each channel is found to be: meters and states are, and what only looks like them stays analog."""

import numpy as np
import pytest

from edge_agent.commissioning.kind_finding import find_kinds
from edge_agent.signals.channel_kinds import ChannelKind, ChannelKinds

R = 8640
TIME = np.arange(R)


def noise(sd: float, seed: int = 0) -> np.ndarray:
    return sd * np.random.default_rng(seed).standard_normal(R)


def jumps(levels: list[float], rows: int, seed: int = 0) -> np.ndarray:
    """Each level for so many rows, in a random order, never twice in a row."""
    rng, found = np.random.default_rng(seed), [levels[0]]
    while len(found) < -(-R // rows):
        found.append(rng.choice([level for level in levels if level != found[-1]]))
    return np.repeat(found, rows)[:R]


def kinds_of(*columns: np.ndarray, **how: object) -> ChannelKinds:
    beside = np.concatenate([column[:, None] for column in (*columns, noise(1.0, 9))], axis=1)
    found = ChannelKinds.read(find_kinds(beside.astype(np.float32), **how))
    assert found is not None
    return found


def kind_of(column: np.ndarray) -> ChannelKind:
    return kinds_of(column).names[0]


METERS = {
    "energy": 184_300 + np.cumsum(np.maximum(12 + noise(0.5), 0)) * 0.001,
    "pieces": np.floor(51_234 + 0.35 * TIME),
    "16 bits": (50 * TIME) % 65_536,
    "total since midnight": 0.01 * ((TIME + 4000) % R),
    "pieces of one shift a day": 9_000 + np.floor(np.clip(TIME - R // 4, 0, R // 3) * 0.1),
    "energy of a day, most at noon": 5_000 + np.cumsum(0.01 + 0.02 * np.sin(np.pi * TIME / R) ** 2),
    "energy of the sun since midnight": np.cumsum(np.maximum(-np.cos(2 * np.pi * TIME / R), 0.0)),
    "total of a machine that rests at noon": np.cumsum(np.abs(TIME - R // 2) > 400) * 0.2,
}
STATES = {
    "door": (TIME % 2880 < 12) * 1.0,
    "opened once": (TIME > 5000) * 1.0,
    "valve": (TIME % 400 < 90) * 100.0,
    "compressor": jumps([0, 1], 20),
    "code": jumps([2, 3, 5], 120),
    "phases": (TIME // 200) % 6,
    "set point": jumps([180, 185, 190], 720),
    "half open": jumps([0, 0.5, 1], 300),
    "alarm word": jumps([0, 4, 1024], 500),
}
ANALOG = {
    "noisy": 60 + noise(1.0),
    "whole numbers": np.round(1500 + noise(8.0)),
    "rounded to a degree": np.round(22 + 3 * np.sin(TIME / 1400)),
    "rounded, two values": np.round(21.5 + 0.3 * np.sin(TIME / 700)),
    "rounded to tenths": np.round(22 + 0.6 * np.sin(TIME / 1400) + noise(0.01), 1),
    "two tenths": np.round(0.05 + 0.04 * np.sin(TIME / 700), 1),
    "set point that only rose": np.where(TIME < 3000, 180, np.where(TIME < 6000, 185, 190)),
    "slow saw": 20 + 60 * ((TIME % 2000) / 2000),
    "one rise of a saw about 0": -1 + 2 * TIME / R,
    "warming up": np.round(20 + 40 * (1 - np.exp(-TIME / 3000)), 1),
    "warms and warms slower, in whole degrees": np.round(25 + 45 * (TIME / R) ** 0.7),
    "an exhaust": np.round(26.5 + 140 / (1 + np.exp(4 - 10 * TIME / R)), 1),
    "an exhaust, cooled between": np.round(26.5 + 340 * (1 - np.exp(-(TIME % 5000) / 1500)), 1),
    "a ramp that is held": np.clip(20 + TIME * 0.01, 20, 80),
    "rises and falls": 1000 + np.cumsum(np.where(TIME % 3000 < 2000, 0.02, -0.02)),
    "rises with noise": 5 + 0.001 * TIME + noise(0.01),
    "eight bits": np.round(17 + np.sin(TIME / 900) + 0.8 * (TIME % 1000 < 60)) / 2.55,
    "degrees that leap once": np.round(86 + 3 * np.sin(TIME / 1400) + 2 * (TIME > 4000)),
    "a tank that sloshes": jumps([32.157, 32.941, 33.333], 60),
    "many pulses": 5.0 * (np.random.default_rng(0).random(R) < 0.3) + noise(0.01),
}


@pytest.mark.parametrize("name", METERS)
def test_a_meter_is_a_counter(name: str) -> None:
    assert kind_of(METERS[name]) == "counter"


@pytest.mark.parametrize("name", STATES)
def test_what_holds_few_values_is_a_state(name: str) -> None:
    assert kind_of(STATES[name]) == "state"


@pytest.mark.parametrize("name", ANALOG)
def test_a_measurement_stays_analog(name: str) -> None:
    assert kind_of(ANALOG[name]) == "analog"


def test_what_does_not_change_is_constant_unless_nothing_does() -> None:
    assert kind_of(np.full(R, 7.0)) == "constant"
    still = ChannelKinds.read(find_kinds(np.full((R, 2), 7.0, np.float32)))
    assert still is not None
    assert still.names == ("analog", "analog")


def test_gaps_change_no_kind() -> None:
    lost = np.random.default_rng(1).random(R) < 0.2
    for name, column in (METERS | STATES | ANALOG).items():
        holed = np.where(lost, np.nan, column)
        assert kind_of(holed) == kind_of(column), name


def test_people_know_better() -> None:
    found = kinds_of(METERS["pieces"], ANALOG["noisy"], overrides=("analog", "ignore", None))
    assert found.names == ("analog", "ignore", "analog")


def test_what_a_state_was_is_known_in_order_and_bounded() -> None:
    found = kinds_of(STATES["code"], np.full(R, 7.0), ANALOG["noisy"], overrides=(None, None, "state", None))
    assert found.known_values(0).tolist() == [2, 3, 5]
    assert found.known_values(1).tolist() == [7]
    assert found.known_values(2).size == 0  # more than a state has: nothing is known
    assert found.most_changes.tolist()[:2] == [2, 0]
    assert found.values.shape == (4, 16)


def test_the_fence_of_spikes_lies_a_range_away_and_only_where_rows_come_often() -> None:
    column = np.random.default_rng(0).uniform(10, 20, R)
    often, seldom = kinds_of(column, period_s=60.0), kinds_of(column, period_s=300.0)
    assert often.low[0] == pytest.approx(0, abs=0.3)
    assert often.high[0] == pytest.approx(30, abs=0.3)
    assert seldom.high[0] > 1e38
    assert np.isfinite(np.concatenate([array.ravel() for array in often])).all()
