"""The ordinary machines: name -> simulated weeks with one real fault near their end, learnt from their first day.

A row each 10 s, from a Monday on. The same seed gives the same rows. Machines of the six-channel drive and others are
written here; four are kinds of `simulator` with habits of a factory. Nothing is fitted to a recording.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from zlib import crc32

import numpy as np

import simulator
from benchmarks.everyday import instruments, operating_modes, working_hours
from benchmarks.everyday.parts import DAY_ROWS, HOUR_ROWS, PERIOD_S, Week
from edge_agent.recordings.tables import Recording
from simulator.records import Injection

LEARNT_ROWS = DAY_ROWS
START_TS = 1_772_409_600  # Monday, 2026-03-02T00:00:00Z
_NS = 1_000_000_000
_SIMULATED_DAYS = 8
_SIMULATED_FAULT_ROWS = 3 * HOUR_ROWS


@dataclass(frozen=True, slots=True)
class Machine:
    """One kind of ordinary machine.

    Attributes:
        title: what is ordinary about it, in the words of the table.
        build: its days from chance alone.
    """

    title: str
    build: Callable[[np.random.Generator], Week]


def week(name: str, *, seed: int) -> Recording:
    """The simulated days of a machine of `MACHINES`, its fault labelled; the same seed gives the same rows."""
    built = MACHINES[name].build(np.random.default_rng([seed, crc32(name.encode())]))
    channels = tuple(built.columns)
    values = np.stack([built.columns[channel] for channel in channels], axis=1).astype(np.float32)
    label = np.zeros(len(values), np.int16)
    label[slice(*built.fault)] = 1
    times_ns = START_TS * _NS + np.arange(len(values), dtype=np.int64) * round(PERIOD_S * _NS)
    kept = np.ones(len(values), np.bool_) if built.kept is None else built.kept
    return Recording(f"{name}-{seed}", channels, times_ns[kept], values[kept], label[kept])


def _simulated(kind: str, *, habits: str, fault: str) -> Callable[[np.random.Generator], Week]:
    """A kind of the simulator with habits of a factory; its fault comes within ten minutes and is severe.

    Those chosen are four normal spreads or more of the running machine in one channel, as the other machines' are.
    """

    def build(rng: np.random.Generator) -> Week:
        rows, at = _SIMULATED_DAYS * DAY_ROWS, (_SIMULATED_DAYS - 1) * DAY_ROWS + 10 * HOUR_ROWS
        end = at + _SIMULATED_FAULT_ROWS
        machine_seed, seed = (int(each) for each in rng.integers(2**31, size=2))
        run = simulator.machine(kind, seed=machine_seed, habits=habits).run(
            rows=rows,
            seed=seed,
            rate_hz=1.0 / PERIOD_S,
            start_ts=float(START_TS),
            injections=[Injection(fault, at, 60, 0.9, end)],
        )
        columns = {name: run.values[:, column].astype(np.float64) for column, name in enumerate(run.channels)}
        return Week(columns, (at, end))

    return build


MACHINES: Mapping[str, Machine] = MappingProxyType(
    {
        "night": Machine("off every night", working_hours.off_every_night),
        "meter": Machine("a meter and a piece counter", instruments.meter),
        "set-points": Machine("three known set points", operating_modes.set_points),
        "door": Machine("a door thrice a day, codes, a compressor", instruments.door),
        "weekend": Machine("no work at weekends", working_hours.no_weekend_work),
        "broken-reading": Machine("one impossible reading, thrice a day", instruments.one_broken_reading),
        "batch": Machine("batches", operating_modes.batch),
        "recalibrated": Machine("a sensor put right for good", instruments.recalibrated),
        "steady": Machine("steady", working_hours.steady),
        "noon": Machine("a break at noon, nights", working_hours.break_at_noon),
        "earlier": Machine("nights, then an hour earlier", working_hours.an_hour_earlier),
        "saturday": Machine("two shifts, Saturdays one", working_hours.two_shifts_and_saturday),
        "short-stops": Machine("twenty short stops a day", working_hours.twenty_short_stops),
        "service": Machine("service every third day", working_hours.serviced),
        "daily-total": Machine("totals from midnight", instruments.total_of_the_day),
        "wrap": Machine("16-bit counters that wrap", instruments.wrapping_counters),
        "valves": Machine("valves at 0 or 100", instruments.valves),
        "by-exception": Machine("report by exception", instruments.by_exception),
        "bad-line": Machine("lost rows, an outage every other day", instruments.bad_line),
        "analyser": Machine("a slow analyser, whole degrees", instruments.slow_analyser),
        "clogging": Machine("steady; its filter clogs in four hours", instruments.clogging_filter),
        "ramps": Machine("a set point that ramps", operating_modes.ramped_set_point),
        "products": Machine("three products", operating_modes.three_products),
        "load-away": Machine("load taken away five times a day", operating_modes.load_taken_away),
        "busy-days": Machine("more to do by day", operating_modes.busy_days),
        "weather": Machine("weather of the hall", operating_modes.weather_of_the_hall),
        "compressor": Machine("a compressor that loads and unloads", operating_modes.loading_compressor),
        "defrost": Machine("defrosting every six hours", operating_modes.defrosting),
        "two-pumps": Machine("two pumps in turn", operating_modes.two_pumps_in_turn),
        "rinsed": Machine("rinsed hot every night", operating_modes.cleaned_at_night),
        "press": Machine(
            "simulated press, batches", _simulated("press", habits="batches", fault="pump_wear")
        ),
        "coldroom": Machine(
            "simulated cold store, doors", _simulated("coldroom", habits="doors", fault="compressor_wear")
        ),
        "boiler": Machine(
            "simulated boiler, nights", _simulated("boiler", habits="nights", fault="scale_on_tubes")
        ),
        "conveyor": Machine(
            "simulated conveyor, short stops",
            _simulated("conveyor", habits="short_stops", fault="drum_bearing_wear"),
        ),
    }
)
"""The first eight are what ordinary machines were first asked for; the fifth and `saturday` last two weeks."""
