"""The latest features of fast samples, for the metrics page: bounded, whatever is sent. Scores nothing."""

from collections.abc import Iterable, Mapping

import numpy as np

from edge_agent.cycles.rules import is_cycle
from edge_agent.records import Frame
from edge_agent.signals.vibration import is_feature

_MACHINES_LIMIT = 100
_FEATURES_LIMIT = 64
"""Of one machine; both bound what Prometheus must keep."""


class WaveformGauges:
    """The newest value of each feature of each machine; belongs to one thread."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str], float] = {}
        self._columns: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        self._count: dict[str, int] = {}

    @property
    def latest(self) -> Mapping[tuple[str, str], float]:
        """(machine, feature) -> value; a copy."""
        return dict(self._latest)

    def take_frames(self, frames: Iterable[Frame]) -> None:
        """Take up what the newest row of each frame says."""
        for frame in frames:
            columns = self._columns.get((frame.machine, frame.channels))
            if columns is None:
                columns = self._admit(frame)
            for at in columns:
                value = float(frame.rows[-1][at])
                if np.isfinite(value):
                    self._latest[frame.machine, frame.channels[at]] = value

    def _admit(self, frame: Frame) -> list[int]:
        """Which channels of such frames are shown; remembered as long as that stays few."""
        names = () if is_cycle(frame.machine) else frame.channels
        columns = [at for at, name in enumerate(names) if is_feature(name)]
        if columns and frame.machine not in self._count and len(self._count) >= _MACHINES_LIMIT:
            columns = []
        known = {name for machine, name in self._latest if machine == frame.machine}
        room = _FEATURES_LIMIT - self._count.get(frame.machine, 0)
        new = [at for at in columns if frame.channels[at] not in known]
        columns = [at for at in columns if at not in new[max(0, room) :]]
        if columns:
            self._count[frame.machine] = self._count.get(frame.machine, 0) + len(new[: max(0, room)])
        if len(self._columns) < 10 * _MACHINES_LIMIT:
            self._columns[frame.machine, frame.channels] = columns
        return columns
