"""The only simulator of the project: pumps, motors and furnaces that fail in labelled ways. No real plant data.

Physically motivated difference equations, one file per kind of machine. Everything random comes from the seed
given to `simulate`; there is no clock. numpy alone, below all other packages: the demo, tests, benchmarks and trainer
use it as equals. `python -m simulator --help` streams machines as NDJSON or Parquet.
"""

from simulator.command import main
from simulator.kinds import KINDS
from simulator.records import Channel, Fault, Injection, Kind, Run
from simulator.simulation import simulate

__all__ = ["KINDS", "Channel", "Fault", "Injection", "Kind", "Run", "main", "simulate"]
