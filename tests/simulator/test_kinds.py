"""Machines obey physics: balances close, controllers hold, what is off is off, slow rows show the same machine."""

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

import simulator
from simulator import KINDS, PRESETS, Habits, Injection, Run, UsageError, simulate
from simulator.habits import EVERY_DAY, EnergyMeter, Hours, Weather

DAY = 86_400
MONDAY_TS = simulator.START_TS + 4 * DAY
FAULTS = [(kind.name, fault.name) for kind in KINDS.values() for fault in kind.faults]
# What standing by draws beside a day's mean; a furnace and what must stay cold are never off.
AT_REST = {"furnace": 0.75, "coldroom": 1.0, "boiler": 0.3, "fan": 0.1}


@cache
def week_day(kind: str) -> Run:
    """Two days with a night, a row each 10 s."""
    return simulator.machine(kind, seed=5, habits="nights").run(
        rows=2 * DAY // 10, seed=5, rate_hz=0.1, start_ts=MONDAY_TS
    )


@cache
def steady(kind: str) -> Run:
    return simulate(kind, rows=6000, seed=11)


def column(run: Run, name: str) -> npt.NDArray[np.float64]:
    return run.values[:, run.channels.index(name)].astype(np.float64)


@pytest.mark.parametrize(("kind", "fault"), FAULTS)
@pytest.mark.parametrize("rate_hz", [4.0, 1 / 300], ids=["4 a second", "a row in 5 minutes"])
def test_every_fault_runs_at_every_rate(kind: str, fault: str, rate_hz: float) -> None:
    run = simulate(kind, rows=120, seed=3, rate_hz=rate_hz, injections=[Injection(fault, 30, 20, 0.8, 100)])
    assert np.isfinite(run.values).all()
    assert run.label[30:100].all()
    assert run.guilty().any(axis=0).sum() == len(run.events[0].channels) < len(run.channels)


@pytest.mark.parametrize("kind", KINDS)
def test_the_machine_rests_at_night(kind: str) -> None:
    hours = Hours(days=EVERY_DAY, jitter_h=0.0)
    meter = EnergyMeter(start=0.0, step=0.001)
    run = simulate(
        kind,
        rows=2 * DAY // 10,
        seed=1,
        rate_hz=0.1,
        habits=Habits(hours=hours, weather=Weather(), appliances=(meter,)),
        start_ts=MONDAY_TS,
    )
    energy = column(run, "energy")
    assert (np.diff(energy) >= 0.0).all()
    day_kw = (energy[22 * 360] - energy[8 * 360]) / 14.0
    night_kw = (energy[24 * 360 + 5 * 360] - energy[24 * 360]) / 5.0
    assert day_kw > 0.02
    assert night_kw <= AT_REST.get(kind, 0.05) * day_kw
    if not KINDS[kind].keeps_on:
        assert not run.running[2 * 360 : 5 * 360].any()
        assert run.running[8 * 360 : 21 * 360].all()


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if not kind.keeps_on])
def test_what_moves_stands_still_at_night(kind: str) -> None:
    run = week_day(kind)
    night = slice(26 * 360, 29 * 360)
    for name, unit in zip(run.channels, run.units, strict=True):
        if unit in ("rpm", "mm/s", "A", "l/min", "m3/h", "m/s", "t/h", "mm/min") and kind != "furnace":
            assert np.abs(column(run, name)[night]).max() < 0.15 * np.abs(column(run, name)).max() + 0.15, (
                name
            )


@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_gateway_sees_the_same_machine(kind: str) -> None:
    """A row in five minutes is a reading of an instant of the same days: its levels are those of quick rows."""
    quick = simulator.machine(kind, seed=8, habits="steady").run(rows=17_280, seed=2, rate_hz=0.1)
    slow = simulator.machine(kind, seed=8, habits="steady").run(rows=576, seed=2, rate_hz=1 / 300)
    spread = np.maximum(quick.values.std(axis=0), [10.0 * c.noise + c.step for c in KINDS[kind].channels])
    assert (np.abs(quick.values.mean(axis=0) - slow.values.mean(axis=0)) < 0.6 * spread).all()
    np.testing.assert_allclose(np.diff(slow.times_s), 300.0)


def test_the_exchangers_sides_give_and_take_the_same_heat() -> None:
    run = steady("exchanger")
    hot = column(run, "hot_flow") * (
        column(run, "hot_inlet_temperature") - column(run, "hot_outlet_temperature")
    )
    cold = column(run, "cold_flow") * (
        column(run, "cold_outlet_temperature") - column(run, "cold_inlet_temperature")
    )
    assert hot.mean() == pytest.approx(cold.mean(), rel=0.02)
    assert column(run, "heat").mean() == pytest.approx(1.163 * hot.mean(), rel=0.01)
    assert (column(run, "hot_outlet_temperature") > column(run, "cold_inlet_temperature")).all()


def test_the_compressor_keeps_its_band_and_loads_as_much_as_is_drawn() -> None:
    run = steady("compressor")
    pressure, loaded = column(run, "receiver_pressure"), column(run, "loaded") > 0.5
    assert 0.4 < pressure.max() - pressure.min() < 1.2
    change = np.diff(pressure)
    assert change[loaded[1:] & loaded[:-1]].mean() > 0.002
    assert change[~loaded[1:] & ~loaded[:-1]].mean() < -0.002
    current = column(run, "motor_current")
    assert 0.2 < np.median(current[~loaded]) / np.median(current[loaded]) < 0.45
    assert column(run, "load_share").mean() == pytest.approx(100.0 * loaded.mean(), abs=6.0)


def test_what_flows_into_the_cascade_flows_out() -> None:
    run = steady("cascade")
    assert column(run, "inlet_flow").mean() == pytest.approx(column(run, "outlet_flow").mean(), rel=0.01)
    leaking = simulate("cascade", rows=6000, seed=11, injections=[Injection("leak_in_tank_2", 0, 0)])
    lost = column(leaking, "inlet_flow")[2000:].mean() - column(leaking, "outlet_flow")[2000:].mean()
    assert lost > 0.3


def test_the_boilers_water_becomes_steam() -> None:
    run = steady("boiler")
    assert column(run, "feed_flow").mean() == pytest.approx(1.03 * column(run, "steam_flow").mean(), rel=0.02)
    steam_kw = (
        column(run, "steam_flow").mean() / 3.6 * (2770.0 - 4.2 * column(run, "feed_temperature").mean())
    )
    assert 0.82 < steam_kw / (10.0 * column(run, "gas_flow").mean()) < 0.97


def test_the_conveyors_scale_and_power_agree_with_its_load() -> None:
    run = steady("conveyor")
    carried = 3.6 * column(run, "belt_load") * column(run, "belt_speed")
    np.testing.assert_allclose(carried.mean(), column(run, "throughput").mean(), rtol=0.01)
    assert np.corrcoef(carried, column(run, "motor_current"))[0, 1] > 0.9


def test_the_chiller_is_a_chiller() -> None:
    run = week_day("chiller")
    on = run.running
    gap = (column(run, "chilled_return") - column(run, "chilled_supply"))[on]
    cooling_kw = 1.163 * column(run, "water_flow")[on] * gap
    assert 2.5 < cooling_kw.mean() / column(run, "compressor_power")[on].mean() < 8.0
    settled = np.flatnonzero(on)[600:]
    settled = settled[(settled % 8640) // 360 >= 8]
    high, low = column(run, "condensing_pressure")[settled], column(run, "evaporating_pressure")[settled]
    assert (high > low + 1.0).all()


def test_the_fan_obeys_the_fan_laws() -> None:
    run = steady("fan")
    flow, fell = column(run, "air_flow"), column(run, "filter_dp")
    assert np.std(fell / np.square(flow)) < 0.05 * np.mean(fell / np.square(flow))
    assert np.corrcoef(column(run, "fan_speed"), flow)[0, 1] > 0.98


def test_a_batch_is_filled_heated_and_cooled() -> None:
    run = steady("mixer")
    product, weight = column(run, "product_temperature"), column(run, "weight")
    names = KINDS["mixer"].modes
    level = {name: product[run.mode == number].mean() for number, name in enumerate(names)}
    assert level["holding"] > level["heating"] > level["filling"]
    assert level["holding"] > level["cooling"] > level["waiting"]
    assert (
        weight[run.mode == names.index("holding")].min()
        > 5.0 * weight[run.mode == names.index("waiting")].mean()
    )
    assert 0.0 < product.min() < product.max() < 100.0


def test_a_press_cures_closed_and_says_the_peak_of_the_last_stroke() -> None:
    run = steady("press")
    cures = run.mode == KINDS["press"].modes.index("curing")
    settled = cures & np.roll(cures, 15)
    assert np.abs(column(run, "ram_position")[settled]).max() < 2.0
    assert column(run, "cylinder_pressure")[settled].min() > 100.0
    peak = column(run, "peak_pressure")
    assert peak[1000:].max() <= column(run, "cylinder_pressure").max() + 2.0
    changes = np.flatnonzero(np.diff(peak)) + 1
    assert (run.mode[changes] == 0).all()


def test_tools_grow_blunt_and_are_changed() -> None:
    run = simulate("cnc", rows=30_000, seed=4)
    roughing = run.mode == KINDS["cnc"].modes.index("roughing")
    load = np.array([part.mean() for part in np.array_split(column(run, "spindle_load")[roughing], 120)])
    assert (np.diff(load) < -4.0).any()
    assert np.median(np.diff(load)) > 0.0


def test_a_cold_store_stays_cold_and_defrosts() -> None:
    run = week_day("coldroom")
    inside, coil = column(run, "room_temperature"), column(run, "coil_temperature")
    assert inside.max() - inside.min() < 12.0
    assert (coil < inside)[column(run, "compressor_on") > 0.5].mean() > 0.9
    assert 0.02 < (column(run, "defrost") > 0.5).mean() < 0.1
    assert coil[column(run, "defrost") > 0.5].max() > 3.0


def test_nobody_turns_a_screw_in_cold_plastics() -> None:
    run = week_day("extruder")
    turning = column(run, "screw_speed") > 10.0
    assert column(run, "zone4_temperature")[turning].min() > 150.0
    assert column(run, "melt_pressure").max() < 260.0


def test_a_motor_turns_slower_when_loaded_and_a_pump_follows_its_valve() -> None:
    motor = steady("motor")
    full = (motor.mode == 2) & (np.roll(motor.mode, 60) == 2)  # without the ramp at its beginning
    assert np.corrcoef(column(motor, "torque")[full], column(motor, "speed")[full])[0, 1] < -0.5
    pump = steady("pump")
    assert np.corrcoef(column(pump, "flow"), column(pump, "motor_current"))[0, 1] > 0.8


def test_a_robot_grips_with_vacuum_only() -> None:
    run = steady("robot")
    grips = column(run, "gripped") > 0.5
    settled = grips & np.roll(grips, 3)
    assert column(run, "vacuum")[settled].min() > 400.0
    assert np.median(column(run, "vacuum")[~grips]) < 20.0


def test_kinds_are_told_apart_by_name() -> None:
    assert len(KINDS) >= 16
    assert sum(len(kind.faults) for kind in KINDS.values()) >= 100
    for kind in KINDS.values():
        assert {fault.name for fault in kind.faults} >= set(kind.wears)
    with pytest.raises(UsageError, match="turbine"):
        simulator.machine("turbine", seed=0)
    with pytest.raises(UsageError, match="holidays"):
        simulator.machine("pump", seed=0, habits="holidays")
    assert "nights" in PRESETS
