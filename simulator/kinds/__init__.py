"""The table of all kinds of machines, one file each. A new kind is a new file below and one line in the table."""

from collections.abc import Mapping
from types import MappingProxyType

from simulator.kinds.mechanical.cnc import CNC
from simulator.kinds.mechanical.compressor import COMPRESSOR
from simulator.kinds.mechanical.conveyor import CONVEYOR
from simulator.kinds.mechanical.fan import FAN
from simulator.kinds.mechanical.motor import MOTOR
from simulator.kinds.mechanical.press import PRESS
from simulator.kinds.mechanical.pump import PUMP
from simulator.kinds.mechanical.robot import ROBOT
from simulator.kinds.programmed.arm import ARM
from simulator.kinds.thermal.boiler import BOILER
from simulator.kinds.thermal.cascade import CASCADE
from simulator.kinds.thermal.chiller import CHILLER
from simulator.kinds.thermal.coldroom import COLDROOM
from simulator.kinds.thermal.exchanger import EXCHANGER
from simulator.kinds.thermal.extruder import EXTRUDER
from simulator.kinds.thermal.furnace import FURNACE
from simulator.kinds.thermal.mixer import MIXER
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

PROGRAMMED_KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in (ARM,)})
"""Kinds whose rows mean little without their program; the shipped models learnt nothing from them."""

EVERY_KIND: Mapping[str, Kind] = MappingProxyType({**KINDS, **PROGRAMMED_KINDS})

MEASURED_KINDS = ("pump", "motor", "furnace")
"""The first three: what published figures were measured on, and what the first shipped models learnt from."""
