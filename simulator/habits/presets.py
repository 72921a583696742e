"""Factories that everybody knows, by name: each adds one habit to a machine that otherwise runs evenly."""

from collections.abc import Mapping
from types import MappingProxyType

from simulator.dynamics import DAY_S
from simulator.habits import (
    EVERY_DAY,
    AlarmWord,
    Auxiliary,
    DailyEnergy,
    Door,
    EnergyMeter,
    Habits,
    Hours,
    PieceCounter,
    PulseCounter,
    Recipe,
    Reporting,
    SetPoint,
    SetPoints,
    StateCode,
    Stops,
    Transmitters,
    TroubleRates,
    Upkeep,
    Weather,
)

_AIR = Weather()

PRESETS: Mapping[str, Habits] = MappingProxyType(
    {
        "steady": Habits(weather=_AIR),
        "nights": Habits(weather=_AIR, hours=Hours(days=EVERY_DAY)),
        "weekends": Habits(weather=_AIR, hours=Hours(start_h=0.0, stop_h=24.0, jitter_h=0.0)),
        "one_shift": Habits(weather=_AIR, hours=Hours(start_h=7.0, stop_h=16.0, pause=(12.0, 0.75))),
        "new_hours": Habits(
            weather=_AIR, hours=Hours(days=EVERY_DAY, moves_after_s=4.0 * DAY_S, moves_h=-1.0)
        ),
        "short_stops": Habits(weather=_AIR, stops=Stops(per_hour=0.8)),
        "changeovers": Habits(
            weather=_AIR,
            stay_s=(7200.0, 28_800.0),
            stops=Stops(per_hour=0.0, changeover_s=(300.0, 1200.0)),
            appliances=(Recipe(),),
        ),
        "set_points": Habits(
            weather=_AIR, setpoints=SetPoints(levels=(0.94, 1.0, 1.05)), appliances=(SetPoint(),)
        ),
        "new_set_point": Habits(weather=_AIR, setpoints=SetPoints(lasting=(0.9, 4.0 * DAY_S))),
        "busy_days": Habits(weather=_AIR, setpoints=SetPoints(daily=0.12, wander=0.04)),
        "meters": Habits(weather=_AIR, appliances=(EnergyMeter(), PieceCounter())),
        "totals": Habits(weather=_AIR, appliances=(DailyEnergy(), PulseCounter())),
        "doors": Habits(
            weather=_AIR,
            appliances=(Door(), Auxiliary(), StateCode(running=(3, 4, 5)), AlarmWord(reminders=(3, 7))),
        ),
        "spikes": Habits(weather=_AIR, troubles=TroubleRates(per_week={"spike": 20.0})),
        "recalibrated": Habits(weather=_AIR, troubles=TroubleRates(per_week={"recalibration": 1.0})),
        "bad_lines": Habits(
            weather=_AIR,
            troubles=TroubleRates(per_week={"outage": 3.0, "dropout": 6.0}),
            reporting=Reporting(lost=0.01),
        ),
        "by_exception": Habits(weather=_AIR, reporting=Reporting(deadband=3.0)),
        "serviced": Habits(weather=_AIR, upkeep=Upkeep(every_s=3.0 * DAY_S)),
        "batches": Habits(
            weather=_AIR,
            setpoints=SetPoints(levels=(0.85, 1.0, 1.1)),
            appliances=(Recipe(), PieceCounter()),
        ),
        "slow_instruments": Habits(weather=_AIR, transmitters=Transmitters(refresh_rows=(1, 6, 30))),
        "heavy_tails": Habits(weather=_AIR, transmitters=Transmitters(tails=2.6)),
        "on_the_roof": Habits(
            weather=Weather(mean=11.0, season=9.0, day=5.0, fronts=3.0, warmth=0.0),
        ),
    }
)
