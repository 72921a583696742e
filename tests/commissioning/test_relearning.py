"""A machine learnt from little is learnt again from its calm rows in service, and never from a fault."""

from dataclasses import replace

import numpy as np
import pytest

from edge_agent.commissioning.baseline import commission
from edge_agent.commissioning.relearning import BASE, PIECES, STAGE, Settler, Settling, check, kept
from edge_agent.errors import CommissionError
from edge_agent.records import Profile, WindowBlock

T = 64
PERIOD_NS = 10 * 1_000_000_000
HOUR_ROWS = 360
BASE_ROWS = 400


def plant(n_rows: int, seed: int = 0, *, level: float = 0.0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((n_rows, 2))
    return (np.array([20.0, 5.0]) + level + noise).astype(np.float32)


def memory_of(rows: np.ndarray, **changes: object) -> dict[str, np.ndarray]:
    how: dict = {
        "window_rows": T,
        "encode": None,
        "budget_per_week": 1.0,
        "windows_per_week": 60_480.0,
        "seed": 0,
    }
    return dict(commission(rows, **(how | changes)))


def profile_of(memory: dict[str, np.ndarray]) -> Profile:
    return Profile("press", ("a", "b"), memory, BASE_ROWS, PERIOD_NS, 1, "encoder", 0)


def live(settler: Settler, rows: np.ndarray, *, start: int, alarm: range = range(0)) -> list[int]:
    """Rows at which the settler asks; an alarm is open in `alarm`. Every request is refused at once."""
    asked = []
    for end in range(max(start, T), len(rows)):
        window = rows[end - T + 1 : end + 1].T[None]
        block = WindowBlock("press", window, np.array([end]), np.array([end * PERIOD_NS]))
        settler.note(block, at=0, score=2.0 if end in alarm else 0.3, in_alarm=end in alarm)
        request = settler.request(time_ns=end * PERIOD_NS)
        if request is not None:
            asked.append(end)
            settler.refused(request[1].stage)
    return asked


@pytest.fixture(scope="module")
def base() -> np.ndarray:
    return plant(BASE_ROWS)


def numbered(n_rows: int) -> np.ndarray:
    """Rows that tell which they are."""
    return np.tile(np.arange(n_rows, dtype=np.float32)[:, None], (1, 2))


def test_it_asks_four_times_in_the_first_calm_day_and_never_again(base: np.ndarray) -> None:
    settler = Settler(profile_of({BASE: base}))
    asked = live(settler, numbered(60 * HOUR_ROWS), start=BASE_ROWS)
    assert len(asked) == 4
    assert np.array(asked) / HOUR_ROWS == pytest.approx([2, 4, 8, 24], abs=3)
    assert settler.refusals == settler.stage == 4


def test_what_is_kept_is_bounded_spread_over_the_time_in_service_and_holds_the_first_rows(
    base: np.ndarray,
) -> None:
    settler = Settler(profile_of({BASE: base}))
    sizes, last = [], np.empty(0)
    rows = numbered(30 * HOUR_ROWS)
    for end in range(BASE_ROWS, len(rows)):
        window = rows[end - T + 1 : end + 1].T[None]
        block = WindowBlock("press", window, np.array([end]), np.array([end * PERIOD_NS]))
        settler.note(block, at=0, score=0.3, in_alarm=False)
        if (request := settler.request(time_ns=end * PERIOD_NS)) is not None:
            sizes.append(len(request[0]))
            last = request[0][BASE_ROWS:, 0]
            assert np.array_equal(request[0][:BASE_ROWS], base)
            settler.refused(request[1].stage)
    assert max(sizes) <= BASE_ROWS + 14 * 512
    pieces = last.reshape(-1, 512)
    assert np.all(np.diff(pieces, axis=1) == 1), "each piece is whole"
    assert pieces.max() - pieces.min() > 15 * HOUR_ROWS


def test_rows_beside_an_alarm_never_enter_and_none_is_asked_for_while_it_is_open(base: np.ndarray) -> None:
    alarm = range(10 * HOUR_ROWS, 20 * HOUR_ROWS)
    settler = Settler(profile_of({BASE: base}))
    rows = numbered(40 * HOUR_ROWS)
    seen: list[np.ndarray] = []
    for end in range(BASE_ROWS, len(rows)):
        window = rows[end - T + 1 : end + 1].T[None]
        block = WindowBlock("press", window, np.array([end]), np.array([end * PERIOD_NS]))
        settler.note(block, at=0, score=2.0, in_alarm=end in alarm)
        if (request := settler.request(time_ns=end * PERIOD_NS)) is not None:
            assert end not in alarm
            seen.append(request[0][BASE_ROWS:, 0])
            assert len(request[1].alarms) == (end >= alarm.stop)
            settler.refused(request[1].stage)
    found = np.concatenate(seen)
    forbidden = (found > alarm.start - HOUR_ROWS) & (found < alarm.stop + HOUR_ROWS)
    assert len(seen) == 4
    assert not forbidden.any()


def test_a_day_of_commissioning_leaves_nothing_to_settle() -> None:
    settler = Settler(profile_of({BASE: plant(25 * HOUR_ROWS)}))
    assert not settler.active
    assert not Settler(profile_of({})).active


def test_a_restart_goes_on_with_the_stages_and_pieces_of_the_profile(base: np.ndarray) -> None:
    pieces = np.stack([plant(512, seed) for seed in (1, 2)])
    how = Settling(profile_of({BASE: base}), BASE_ROWS, 512, (), 2)
    memory = dict(kept(how, np.concatenate([base, *pieces])))
    assert memory[PIECES].shape == (2, 512, 2)
    settler = Settler(profile_of(memory))
    assert settler.stage == 2
    asked = live(settler, numbered(40 * HOUR_ROWS), start=BASE_ROWS)
    assert len(asked) == 2


def test_windows_bridge_no_seam() -> None:
    leaping = np.concatenate([plant(600), plant(600, 1, level=40.0), plant(600, 2)])
    bridged, apart = memory_of(leaping), memory_of(leaping, seams=(600, 1200))
    assert apart["jump_spread"].max() < bridged["jump_spread"].max()


def test_what_calls_a_late_alarm_calm_or_is_far_less_sensitive_is_refused(base: np.ndarray) -> None:
    before = profile_of(memory_of(base) | {BASE: base})
    faulty = np.concatenate([base, plant(512, 1, level=6.0), plant(512, 2, level=6.0)])
    alarm = plant(T, 3, level=6.0).T.copy()
    how = Settling(before, BASE_ROWS, 512, (alarm,), 1)
    learnt = memory_of(faulty, seams=how.seams(len(faulty)))
    with pytest.raises(CommissionError, match="alarms calm"):
        check(learnt, faulty, how, window_rows=T)
    with pytest.raises(CommissionError, match="half as sensitive"):
        check(learnt, faulty, replace(how, alarms=()), window_rows=T)
    with pytest.raises(CommissionError, match="faulty that are calm"):
        check(dict(before.memory), faulty, replace(how, alarms=()), window_rows=T)


def test_more_calm_rows_of_the_same_kind_are_taken(base: np.ndarray) -> None:
    before = profile_of(memory_of(base) | {BASE: base})
    rows = np.concatenate([base, plant(512, 1), plant(512, 2)])
    how = Settling(before, BASE_ROWS, 512, (plant(T, 3, level=6.0).T.copy(),), 1)
    check(memory_of(rows, seams=how.seams(len(rows))), rows, how, window_rows=T)
    assert int(kept(how, rows)[STAGE]) == 1
