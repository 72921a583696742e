"""The only simulator of the project: machines that fail in labelled ways, in ordinary factories. No real plant data.

Physically motivated difference equations, one file per kind of machine (`kinds/`); what factories do around any of
them (`habits/`); one entry, `simulate`, and `machine` for a machine with habits. Everything random comes from the
seeds given; there is no clock. numpy alone, below all other packages: the demo, tests, benchmarks and trainer use it
as equals. `python -m simulator --help` streams machines as NDJSON or Parquet.
"""

from simulator.command import main
from simulator.errors import UsageError
from simulator.habits import Habits, Trouble, TroubleRates
from simulator.habits.draw import ordinary
from simulator.habits.presets import PRESETS
from simulator.injections import some_faults
from simulator.kinds import EVERY_KIND, KINDS, MEASURED_KINDS, PROGRAMMED_KINDS
from simulator.machines import Machine, machine
from simulator.records import Channel, Event, Fault, Injection, Kind, Run
from simulator.simulation import START_TS, simulate

__all__ = [
    "EVERY_KIND",
    "KINDS",
    "MEASURED_KINDS",
    "PRESETS",
    "PROGRAMMED_KINDS",
    "START_TS",
    "Channel",
    "Event",
    "Fault",
    "Habits",
    "Injection",
    "Kind",
    "Machine",
    "Run",
    "Trouble",
    "TroubleRates",
    "UsageError",
    "machine",
    "main",
    "ordinary",
    "simulate",
    "some_faults",
]
