"""The table of all kinds of machines, one file each. A new kind is a new file here and one line in the table."""

from collections.abc import Mapping
from types import MappingProxyType

from simulator.kinds.furnace import FURNACE
from simulator.kinds.motor import MOTOR
from simulator.kinds.pump import PUMP
from simulator.records import Kind

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in (PUMP, MOTOR, FURNACE)})

MEASURED_KINDS = ("pump", "motor", "furnace")
"""The first three: what published figures were measured on, and what the first shipped models learnt from."""
