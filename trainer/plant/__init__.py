"""The only simulator of the project: pumps, motors and furnaces that fail in labelled ways. No real plant data.

Physically motivated difference equations, one file per kind of machine. Everything random comes from the seed
given to `simulate`; there is no clock. `python -m trainer.plant --help` streams machines as NDJSON or Parquet.
"""

from trainer.plant.command import main
from trainer.plant.records import Channel, Fault, Injection, Kind, Run
from trainer.plant.simulator import KINDS, simulate

__all__ = ["KINDS", "Channel", "Fault", "Injection", "Kind", "Run", "main", "simulate"]
