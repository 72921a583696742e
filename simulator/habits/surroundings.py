"""What instruments beside a machine look at: the time, the plan, and the machine's true values. Nouns only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from simulator.plan import Clock
from simulator.records import Bools, Channel, Floats


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A machine's days as they were.

    Attributes:
        clock: The rows R.
        run: Whether the machine was on, [R].
        mode: Operating mode, int8 [R].
        demand: How much was asked of it, [R].
        product: Which of its known set points held, int8 [R].
        weather: Temperature around it, degC [R].
        true: True values of the physics, each [R].
        has_cycles: Whether the modes are phases of a cycle that makes one piece.
    """

    clock: Clock
    run: Bools
    mode: npt.NDArray[np.int8]
    demand: Floats
    product: npt.NDArray[np.int8]
    weather: Floats
    true: Mapping[str, Floats]
    has_cycles: bool


class Appliance(Protocol):
    """An instrument beside the machine, with one channel of its own."""

    @property
    def channel(self) -> Channel:
        """What it reports."""

    def read(self, around: Surroundings, rng: np.random.Generator) -> Floats:
        """What it shows at each row, [R]."""
