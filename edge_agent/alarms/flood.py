"""Flood control: how often people are called in a stretch of time. Pure: times are arguments, what it holds is bounded.

One cause can make every machine of a hall alarm at once; a hundred calls then hide the one that matters (ISA-18.2
counts more than ten in ten minutes for one operator as a flood). Beyond the limit alarms are held: they are kept,
shown and counted, and nobody is called for them until there is room again.
"""

from dataclasses import dataclass

from edge_agent.alarms.state import PastCall


@dataclass(frozen=True, slots=True)
class FloodSettings:
    """Limits of calls within `window_s`; 0 sets none.

    Attributes:
        agent_limit: calls for all machines together.
        machine_limit: calls for one machine.
    """

    agent_limit: int = 100
    machine_limit: int = 0
    window_s: float = 600.0


class FloodControl:
    """Counts the calls of the last `window_s`, in a list that its owner keeps."""

    def __init__(self, settings: FloodSettings, calls: list[PastCall]) -> None:
        self._settings = settings
        self._calls = calls

    def admit_call(self, machine: str, *, now_ns: int, urgent: bool) -> bool:
        """Whether there is room for one more call, which is then counted; an urgent one always has room."""
        settings = self._settings
        if not settings.agent_limit and not settings.machine_limit:
            return True
        self.forget_old_calls(now_ns)
        mine = sum(call.machine == machine for call in self._calls)
        full = bool(settings.agent_limit) and len(self._calls) >= settings.agent_limit
        full = full or bool(settings.machine_limit and mine >= settings.machine_limit)
        if full and not urgent:
            return False
        self._calls.append(PastCall(now_ns, machine))
        del self._calls[:-_CALLS_KEPT]
        return True

    def forget_old_calls(self, now_ns: int) -> None:
        """Drop the calls that are too old to count, and those of a clock that was ahead."""
        begin_ns = now_ns - int(self._settings.window_s * 1e9)
        self._calls[:] = [call for call in self._calls if begin_ns < call.time_ns <= now_ns]


_CALLS_KEPT = 10_000
"""Bounds the list where only single machines are limited; no limit of the configuration is higher."""
