"""What factories do is done, and recorded: hours, stops, set points, meters, doors, troubles, reports by exception."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

import simulator
from simulator import PRESETS, Habits, Injection, Machine, Run, Trouble, TroubleRates, UsageError
from simulator.habits import (
    EVERY_DAY,
    AlarmWord,
    Appliance,
    Auxiliary,
    DailyEnergy,
    Door,
    EnergyMeter,
    Fixed,
    Hours,
    HoursMeter,
    PieceCounter,
    PulseCounter,
    Recipe,
    Reporting,
    SetPoint,
    SetPoints,
    StateCode,
    Stops,
    Thermometer,
    Transmitters,
    Upkeep,
    Weather,
)

DAY = 86_400
MONDAY_TS = simulator.START_TS + 4 * DAY  # 2026-01-05
ROWS_A_DAY = DAY // 10
START_TS = MONDAY_TS
Column = npt.NDArray[np.float64]


def run_of(habits: Habits, *, kind: str = "pump", days: float = 7.0, seed: int = 1) -> Run:
    return Machine(kind, 3, habits).run(
        rows=int(days * ROWS_A_DAY), seed=seed, rate_hz=0.1, start_ts=MONDAY_TS
    )


def column(run: Run, name: str) -> Column:
    return run.values[:, run.channels.index(name)].astype(np.float64)


def hour_of(run: Run) -> Column:
    return (run.times_s - MONDAY_TS) / 3600.0


def shown(*appliances: Appliance, hours: Hours | None = None, kind: str = "pump", days: float = 2.0) -> Run:
    return run_of(Habits(appliances=appliances, hours=hours), kind=kind, days=days)


def test_shifts_breaks_nights_and_weekends() -> None:
    hours = Hours(start_h=7.0, stop_h=16.0, pause=(12.0, 1.0), jitter_h=0.0)
    run = run_of(Habits(hours=hours), days=7.0)
    hour, day = hour_of(run) % 24.0, hour_of(run) // 24.0
    wanted = (day < 5) & (hour >= 7.0) & (hour < 16.0) & ~((hour >= 12.0) & (hour < 13.0))
    np.testing.assert_array_equal(run.running, wanted)
    assert [event.name for event in run.events] == [
        "off"
    ] * 11  # 5 nights before work, 5 breaks, 1 weekend at last
    assert all(event.cause == "benign" for event in run.events)


def test_people_are_never_on_time_and_some_days_are_free() -> None:
    run = run_of(Habits(hours=Hours(days=EVERY_DAY, jitter_h=0.5, free_share=0.3)), days=30.0)
    day = (hour_of(run) // 24.0).astype(int)
    starts = [hour_of(run)[(day == at) & run.running] for at in range(30)]
    begins = np.array([part[0] % 24.0 for part in starts if len(part)])
    assert 15 <= len(begins) <= 27
    assert 5.4 < begins.min() < 5.9
    assert 6.1 < begins.max() < 6.6


def test_hours_move_for_good_and_that_is_recorded() -> None:
    hours = Hours(days=EVERY_DAY, jitter_h=0.0, moves_after_s=3.0 * DAY, moves_h=-1.0)
    run = run_of(Habits(hours=hours), days=6.0)
    hour, day = hour_of(run) % 24.0, hour_of(run) // 24.0
    begins = [hour[(day == at) & run.running].min() for at in range(6)]
    assert begins == pytest.approx([6.0, 6.0, 6.0, 5.0, 5.0, 5.0], abs=0.01)
    moved = next(event for event in run.events if event.name == "new_hours")
    assert moved.start_row == 3 * ROWS_A_DAY
    assert moved.end_row == len(run.values)


def test_short_stops_are_as_many_as_asked_and_recorded() -> None:
    run = run_of(Habits(stops=Stops(per_hour=0.5, median_s=300.0, spread=0.5)))
    stops = [event for event in run.events if event.name == "short_stop"]
    assert 50 < len(stops) < 120
    lengths = np.array([10 * (event.end_row - event.start_row) for event in stops])
    assert 200.0 < np.median(lengths) < 450.0
    still = np.zeros(len(run.values), dtype=bool)
    for event in stops:
        still[event.start_row : event.end_row] = True
    np.testing.assert_array_equal(run.running, ~still)


def test_a_cycle_begun_is_finished_before_a_stop() -> None:
    run = run_of(Habits(hours=Hours(days=EVERY_DAY, jitter_h=0.0)), kind="mixer", days=3.0)
    stops = np.flatnonzero(np.diff(run.running.astype(int)) < 0)
    assert len(stops) == 3
    assert (run.mode[stops] != 0).all()  # the last row of work is one of the last batch, not of waiting
    assert (run.mode[stops + 1] == 0).all()
    late = hour_of(run)[stops] % 24.0
    assert ((late > 22.0) & (late < 23.0)).all()


def test_changeovers_stand_at_the_beginning_of_each_mode() -> None:
    run = run_of(PRESETS["changeovers"], days=3.0)
    changes = np.flatnonzero(np.diff(run.mode)) + 1
    assert len(changes) > 3
    assert not run.running[changes].any()
    assert run.running.mean() > 0.8


def test_set_points_are_few_known_levels_and_one_new_one() -> None:
    setpoints = SetPoints(levels=(0.9, 1.0, 1.1), lasting=(0.8, 4.0 * DAY))
    run = run_of(Habits(setpoints=setpoints, appliances=(SetPoint(nominal=200.0, unit="degC", step=0.5),)))
    target = column(run, "target")
    assert set(target[: 4 * ROWS_A_DAY]) == {180.0, 200.0, 220.0}
    assert set(target[4 * ROWS_A_DAY :]) <= {144.0, 160.0, 176.0}
    new = next(event for event in run.events if event.name == "new_set_point")
    assert (new.start_row, new.end_row, new.cause) == (4 * ROWS_A_DAY, len(target), "benign")
    moved = [event.start_row for event in run.events if event.name == "set_point"]
    assert set(np.flatnonzero(np.diff(target)) + 1) <= {*moved, new.start_row}
    assert run.sorts[run.channels.index("target")] == "setpoint"


def test_busy_hours_are_busy() -> None:
    run = run_of(Habits(setpoints=SetPoints(daily=0.2, fullest_h=13.0)), days=4.0)
    hour, flow = hour_of(run) % 24.0, column(run, "flow")
    assert flow[(hour > 11) & (hour < 15)].mean() > 1.2 * flow[(hour > 23) | (hour < 3)].mean()


def test_summer_is_warmer_than_winter_and_noon_than_night() -> None:
    air = Habits(weather=Weather(season=8.0, day=4.0, fronts=0.5, warmth=0.0), appliances=(Thermometer(),))
    machine = Machine("motor", 1, air)
    winter = machine.run(rows=14 * 288, seed=1, rate_hz=1 / 300, start_ts=START_TS + 15 * DAY)
    summer = machine.run(rows=14 * 288, seed=1, rate_hz=1 / 300, start_ts=START_TS + 197 * DAY)
    warmer = column(summer, "hall_temperature").mean() - column(winter, "hall_temperature").mean()
    assert 14.0 < warmer < 18.0
    hour = (summer.times_s / 3600.0) % 24.0
    hall = column(summer, "hall_temperature")
    assert hall[(hour > 14) & (hour < 16)].mean() - hall[(hour > 2) & (hour < 4)].mean() > 6.0


def test_wear_grows_until_the_service_and_is_no_fault() -> None:
    run = run_of(
        Habits(upkeep=Upkeep(every_s=2.0 * DAY, wear=1.0, length_s=(3600.0, 3600.0))), kind="fan", days=8.0
    )
    services = [event for event in run.events if event.name == "service"]
    assert len(services) == 4
    assert not run.label.any()
    share = column(run, "filter_dp") / np.maximum(column(run, "air_flow"), 1.0) ** 2
    for service in services[1:]:
        before, after = (
            slice(service.start_row - 360, service.start_row),
            slice(service.end_row + 90, service.end_row + 450),
        )
        assert not run.running[service.start_row : service.end_row].any()
        assert share[before].mean() > 1.8 * share[after].mean()


METERS: Sequence[Appliance] = (EnergyMeter(), EnergyMeter(step=1.0), PieceCounter(), HoursMeter())


@pytest.mark.parametrize("meter", METERS, ids=repr)
@pytest.mark.parametrize("kind", ["pump", "press", "compressor"])
def test_meters_never_fall(meter: Appliance, kind: str) -> None:
    run = shown(meter, hours=Hours(days=EVERY_DAY), kind=kind)
    total = column(run, meter.channel.name)
    assert (np.diff(total) >= 0.0).all()
    assert total[-1] > total[0]
    assert run.sorts[-1] == "counter"


def test_totals_of_a_day_begin_again_at_midnight() -> None:
    run = shown(DailyEnergy(), PieceCounter(daily=True), days=3.0)
    for name in ("energy_today", "pieces_today"):
        total = column(run, name)
        falls = np.flatnonzero(np.diff(total) < 0.0) + 1
        np.testing.assert_array_equal(falls, [ROWS_A_DAY, 2 * ROWS_A_DAY])
        assert total[falls].max() < 0.01 * total.max()


def test_pulses_wrap_around_and_an_exchanged_meter_starts_at_zero() -> None:
    run = shown(PulseCounter(start=60_000, per_kwh=100.0), EnergyMeter(exchanged_after_s=float(DAY)))
    pulses, energy = column(run, "pulses"), column(run, "energy")
    unwrapped = np.cumsum(np.diff(pulses) % 65_536.0)
    assert (np.diff(pulses) < 0.0).any()
    assert pulses.max() < 65_536.0
    assert unwrapped[-1] == pytest.approx(100.0 * (energy[ROWS_A_DAY - 1] - energy[0] + energy[-1]), rel=0.01)
    assert energy[ROWS_A_DAY] == 0.0
    assert (np.diff(energy)[np.arange(len(energy) - 1) != ROWS_A_DAY - 1] >= 0.0).all()


def test_a_machine_with_cycles_counts_its_cycles() -> None:
    run = shown(PieceCounter(start=0), kind="press", days=0.5)
    made = column(run, "pieces")
    assert made[-1] - made[0] == pytest.approx(0.5 * DAY / 92.0, rel=0.1)


def test_codes_words_and_doors_tell_what_the_machine_does() -> None:
    run = shown(
        StateCode(off=0, starting=2, running=(5, 6, 7), starting_s=120.0),
        AlarmWord(stop_bit=0, reminders=(3,), per_day=2.0),
        Recipe((11, 12, 13)),
        Fixed(value=80.0),
        hours=Hours(days=EVERY_DAY, jitter_h=0.0),
        days=4.0,
    )
    state, word = column(run, "state"), column(run, "alarm_word").astype(int)
    assert set(state) == {0.0, 2.0, 5.0, 6.0, 7.0}
    np.testing.assert_array_equal(state == 0.0, ~run.running)
    np.testing.assert_array_equal(state[state > 2.0] - 5.0, run.mode[state > 2.0])
    assert (state == 2.0).sum() == 4 * 12
    np.testing.assert_array_equal(word & 1, ~run.running)
    assert 0 < (word & 8 > 0).mean() < 0.2
    np.testing.assert_array_equal(column(run, "recipe") - 11, run.mode)
    assert set(column(run, "limit")) == {80.0}
    assert run.sorts[-4:] == ("state", "state", "state", "constant")


def test_doors_and_auxiliaries_go_their_own_ways() -> None:
    habits = Habits(
        stops=Stops(per_hour=0.3),
        appliances=(
            Door(per_day=4.0),
            Auxiliary("oiler", 1200.0, 0.1),
            Auxiliary("fan_on", 600.0, 0.5, always=True),
        ),
        hours=Hours(days=EVERY_DAY, jitter_h=0.0),
    )
    run = run_of(habits)
    door, oiler, fan = column(run, "door"), column(run, "oiler"), column(run, "fan_on")
    for event in run.events:
        if event.name == "short_stop" and event.end_row - event.start_row < 300:
            assert door[event.start_row : event.end_row].all()
    assert not oiler[~run.running].any()
    assert oiler[run.running].mean() == pytest.approx(0.1, abs=0.03)
    assert fan.mean() == pytest.approx(0.5, abs=0.05)


def test_transmitters_have_noise_tails_and_resolutions_of_their_own() -> None:
    plain = run_of(Habits(modes=(1,)), days=1.0)
    heavy = run_of(Habits(modes=(1,), transmitters=Transmitters(tails=2.5, noise=(3.0, 3.0))), days=1.0)

    def tails(run: Run) -> float:
        step = np.diff(column(run, "suction_pressure"))
        return float(np.mean((step - step.mean()) ** 4) / np.var(step) ** 2)

    assert tails(plain) < 4.0
    assert tails(heavy) > 8.0
    others = [Machine("pump", seed, Habits(transmitters=Transmitters())) for seed in range(12)]
    grids = {
        float(np.diff(np.unique(column(m.run(rows=500, seed=1), "flow"))).min().round(3)) for m in others
    }
    assert len(grids) > 1


def test_slow_instruments_repeat_themselves() -> None:
    habits = Habits(transmitters=Transmitters(refresh_rows=(30,)))
    flow = column(run_of(habits, days=0.5), "flow")
    changes = np.flatnonzero(np.diff(flow)) + 1
    assert len(changes) > 50
    assert len(set((changes % 30).tolist())) == 1


def test_a_batch_keeps_its_recipe_to_the_end() -> None:
    setpoints = SetPoints(levels=(0.8, 1.0), stay_s=(1000.0, 3000.0), wander=0.05)
    run = run_of(Habits(setpoints=setpoints, appliances=(Recipe((1, 2)),)), kind="mixer", days=2.0)
    recipe, begins = column(run, "recipe"), np.flatnonzero(np.diff(run.mode) < 0) + 1
    assert set(recipe) == {1.0, 2.0}
    assert set(np.flatnonzero(np.diff(recipe)) + 1) <= set(begins.tolist())
    holding = run.mode == simulator.KINDS["mixer"].modes.index("holding")
    weight = column(run, "weight")
    assert weight[holding & (recipe == 1.0)].mean() < 0.9 * weight[holding & (recipe == 2.0)].mean()


@pytest.mark.parametrize("what", ["stuck", "drift", "spike", "noise", "dropout", "outage", "recalibration"])
def test_troubles_touch_their_rows_alone_and_are_recorded(what: str) -> None:
    name = "" if what == "outage" else "flow"
    trouble = Trouble(what=what, channel=name, start_row=400, end_row=500, amount=-127.0)  # type: ignore[arg-type]
    normal = simulator.simulate("pump", rows=1000, seed=2)
    run = simulator.simulate("pump", rows=1000, seed=2, injections=[trouble])
    at = run.channels.index("flow")
    others = [number for number in range(len(run.channels)) if number != at]
    rows = np.r_[0:400, 500:1000]
    np.testing.assert_array_equal(run.values[rows], normal.values[rows])
    if what == "outage":
        assert np.isnan(run.values[400:500]).all()
    else:
        np.testing.assert_array_equal(run.values[:, others], normal.values[:, others])
    part = run.values[400:500, at]
    expected = {
        "stuck": lambda: len(set(part)) == 1,
        "drift": lambda: part[-1] == pytest.approx(normal.values[499, at] - 127.0, abs=0.1),
        "spike": lambda: set(part) == {-127.0},
        "noise": lambda: part.std() > 50.0,
        "dropout": lambda: np.isnan(part).all(),
        "outage": lambda: np.isnan(part).all(),
        "recalibration": lambda: np.allclose(part, normal.values[400:500, at] - 127.0, atol=0.1),
    }
    assert expected[what]()
    (event,) = run.events
    assert event.cause == ("benign" if what in ("outage", "recalibration") else "sensor")
    assert run.guilty(event.cause)[400:500, at].all()
    assert run.guilty(event.cause).sum() == 100 * (len(run.channels) if what == "outage" else 1)
    assert not run.label.any()


def test_troubles_come_as_often_as_asked_and_a_recalibration_stays() -> None:
    rates = TroubleRates(per_week={"spike": 20.0, "stuck": 3.0, "recalibration": 2.0})
    run = run_of(Habits(troubles=rates), days=28.0)
    names = [event.name for event in run.events]
    assert 55 < names.count("spike") < 110
    assert 4 < names.count("stuck") < 25
    assert all(e.end_row == len(run.values) for e in run.events if e.name == "recalibration")
    assert all(e.end_row - e.start_row == 1 for e in run.events if e.name == "spike")


def test_reports_by_exception_say_what_changed_and_now_and_then_what_did_not() -> None:
    run = run_of(Habits(reporting=Reporting(deadband=4.0, heartbeat_s=600.0)), days=1.0)
    full = run_of(Habits(), days=1.0)
    said = ~np.isnan(run.values)
    assert 0.02 < said.mean() < 0.6
    np.testing.assert_array_equal(run.values[said], full.values[said])
    assert said[0].all()
    for at in range(len(run.channels)):
        assert np.diff(np.flatnonzero(said[:, at])).max() <= 60
    noise = np.array([channel.noise for channel in simulator.KINDS["pump"].channels])
    step = np.array([channel.step for channel in simulator.KINDS["pump"].channels])
    assert (np.abs(run.held() - full.values) < np.maximum(4.0 * noise, step) * 1.01 + 1e-3).all()


def test_lost_readings_are_lost_at_random() -> None:
    run = run_of(Habits(reporting=Reporting(lost=0.05)), days=1.0)
    assert np.isnan(run.values).mean() == pytest.approx(0.05, abs=0.005)


def test_one_more_habit_leaves_the_others_days_as_they_were() -> None:
    few = run_of(Habits(hours=Hours(), stops=Stops()), days=3.0)
    more = run_of(
        Habits(hours=Hours(), stops=Stops(), appliances=(Door(), EnergyMeter()), setpoints=SetPoints()),
        days=3.0,
    )
    np.testing.assert_array_equal(few.running, more.running)
    np.testing.assert_array_equal(few.values, more.values[:, : len(few.channels)])


def test_two_channels_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="energy"):
        shown(EnergyMeter(), EnergyMeter())
    with pytest.raises(UsageError, match="nothing"):
        simulator.simulate(
            "pump", rows=10, seed=0, injections=[Trouble(what="stuck", channel="nothing", start_row=1)]
        )


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_runs_on_every_sort_of_machine(name: str) -> None:
    for kind in ("compressor", "press"):
        run = simulator.machine(kind, seed=1, habits=name).run(
            rows=2000,
            seed=1,
            rate_hz=0.05,
            start_ts=MONDAY_TS,
            injections=[Injection("air_leak", 1500, 0)] if kind == "compressor" else [],
        )
        assert run.values.shape == (2000, len(run.channels))
        assert not np.isnan(run.held()[10:]).all(axis=0).any()
