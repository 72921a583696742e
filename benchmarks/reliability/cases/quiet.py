"""A source that says only what has changed, against the agent's own ears on a clock of its own: who is silent when."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from edge_agent.config.file import Config
from edge_agent.formats.last_will import LastWills
from edge_agent.formats.routing import delivery_decoder
from edge_agent.records import Delivery, Frame
from edge_agent.sensors.source_monitor import SourceMonitor

_NOW_NS = 1_796_040_005 * 10**9
_TOPIC, _MACHINE, _WILL = "sensors/rbe-1/p", "rbe-1", "sensors/rbe-1/LWT"
_STEP_S = 0.1
_ROWS = 420
_QUIET_S = 50
_NIGHT_S = 12 * 3600
_SOURCES = """
[[source]]
topic = "sensors/{machine}/LWT"
format = "will"
[[source]]
topic = "sensors/{machine}/{channel}"
format = "number"
"""


def findings(folder: Path) -> dict[str, list[str]]:
    """The findings about the source, as the case was and by what a source can say of itself now.

    Returns:
        `rows`: 50 s after the last value, where the file says nothing; `changes`: the same, and after twelve hours,
        with `reports = "changes"`; `will`: a second after the device's will; `back`: after its next value.
    """
    own = (folder / "agent.toml").read_text()
    found: dict[str, list[str]] = {}
    for name, more in (("rows", ""), ("changes", 'reports = "changes"\n')):
        player = _Player(Config.model_validate(tomllib.loads(own + _SOURCES + more)))
        for at in range(_ROWS):
            player.hear(_TOPIC, f"{3 + at % 7 / 10:.3f}", after_s=_STEP_S)
        found[name] = [*player.wait(_QUIET_S)]
        if name == "changes":
            found[name] += player.wait(_NIGHT_S, step_s=30)
            found["will"] = [*player.hear(_WILL, "Offline", after_s=1), *player.wait(1)]
            found["back"] = [*player.hear(_TOPIC, "3.2", after_s=3), *player.wait(1)]
    return found


class _Player:
    """One agent's ears: decoder, wills, and the watch over sources."""

    def __init__(self, config: Config) -> None:
        self._decode = delivery_decoder(config.routes, payload_limit_bytes=65_536, future_tolerance_s=300.0)
        self._wills = LastWills(config.wills)
        self._watch = SourceMonitor(machines_limit=10)
        self._now_s = 0.0

    def hear(self, topic: str, payload: str, *, after_s: float) -> list[str]:
        """A message comes; what is said of it."""
        self._now_s += after_s
        delivery = Delivery(topic, payload.encode(), _NOW_NS + round(self._now_s * 1e9))
        rest, _, there = self._wills.part([delivery])
        self._watch.observe_wills(there)
        for one in rest:
            decoded = self._decode(one)
            if not isinstance(decoded, Frame):
                raise TypeError(f"{topic} was not read: {decoded}")
            changes = {decoded.machine} if decoded.by_exception else set()
            self._watch.observe_rows([decoded.machine], now_s=self._now_s, changes=changes)
        return self._check()

    def wait(self, seconds: float, *, step_s: float = 1.0) -> Iterator[str]:
        """What is said meanwhile."""
        end_s = self._now_s + seconds
        while self._now_s < end_s:
            self._now_s += min(step_s, 4.0)  # an agent that looks less often is held up itself
            yield from self._check()

    def _check(self) -> list[str]:
        if not self._watch.due(now_s=self._now_s):
            return []
        said = self._watch.check(
            [_MACHINE],
            learnt={_MACHINE: _STEP_S},
            sources=(),
            listening=True,
            now_s=self._now_s,
            now_ns=_NOW_NS + round(self._now_s * 1e9),
            model="case",
        )
        return [f"{alarm.fault} {alarm.state}" for alarm in said]
