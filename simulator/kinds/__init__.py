"""The table of all kinds of machines, one file each. A new kind is a new file here and one line in the table."""

from collections.abc import Mapping
from types import MappingProxyType

from simulator.kinds.boiler import BOILER
from simulator.kinds.cascade import CASCADE
from simulator.kinds.chiller import CHILLER
from simulator.kinds.cnc import CNC
from simulator.kinds.coldroom import COLDROOM
from simulator.kinds.compressor import COMPRESSOR
from simulator.kinds.conveyor import CONVEYOR
from simulator.kinds.exchanger import EXCHANGER
from simulator.kinds.extruder import EXTRUDER
from simulator.kinds.fan import FAN
from simulator.kinds.furnace import FURNACE
from simulator.kinds.mixer import MIXER
from simulator.kinds.motor import MOTOR
from simulator.kinds.press import PRESS
from simulator.kinds.pump import PUMP
from simulator.kinds.robot import ROBOT
from simulator.records import Kind

_TABLE = (
    PUMP,
    MOTOR,
    FURNACE,
    COMPRESSOR,
    CONVEYOR,
    EXCHANGER,
    PRESS,
    MIXER,
    CNC,
    FAN,
    CHILLER,
    CASCADE,
    ROBOT,
    COLDROOM,
    BOILER,
    EXTRUDER,
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _TABLE})

MEASURED_KINDS = ("pump", "motor", "furnace")
"""The first three: what published figures were measured on, and what the first shipped models learnt from."""
