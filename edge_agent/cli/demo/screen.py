"""What the demo shows: a live picture on a terminal, plain lines elsewhere. Decides nothing."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_BLOCKS = "▁▂▃▄▅▆▇█"
_HISTORY = 48
_FULL_RATIO = 2.0
"""Score over threshold at which a bar is full; the threshold is half way up."""
_PLAIN_EVERY_S = 5.0
_ALARMS_SHOWN = 8


class Screen(AbstractContextManager["Screen"]):
    """The demo's face."""

    def __init__(self, machines: Sequence[str], console: Console) -> None:
        self._console = console
        self._machines = machines
        self._history: dict[str, deque[float]] = {name: deque(maxlen=_HISTORY) for name in machines}
        self._alarms: dict[str, dict[str, Any]] = {}
        self._stage = ""
        self._states: Mapping[str, dict[str, Any]] = {}
        self._told_s = 0.0
        self._live = (
            Live(console=console, refresh_per_second=10, transient=True) if console.is_terminal else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, stage: str) -> None:
        """What happens now."""
        self._stage = stage
        self._told_s = 0.0
        if self._live is None:
            self._console.print(stage)

    def show(self, machines: Mapping[str, dict[str, Any]], ratios: Mapping[str, float]) -> None:
        """The machines' states and latest scores (over threshold)."""
        self._states = machines
        for name, history in self._history.items():
            if name in ratios:
                history.append(ratios[name])
        if self._live is not None:
            self._live.update(self._picture())
        elif time.monotonic() - self._told_s > _PLAIN_EVERY_S:
            self._told_s = time.monotonic()
            self._console.print("  " + "   ".join(self._plain(name) for name in self._machines))

    def alert(self, alert: dict[str, Any]) -> None:
        """One alert message, as it arrives; the picture shows the latest of each alarm."""
        self._alarms[alert["id"]] = alert
        if self._live is None and (alert["revision"] == 1 or alert["state"] == "closed"):
            self._console.print(f"  {_kind(alert)} {alert['summary']}", soft_wrap=True)

    def _plain(self, name: str) -> str:
        history = self._history[name]
        if history:
            return f"{name}: score {history[-1]:.2f} of threshold"
        state = self._states.get(name, {})
        if "rows" in state:
            return f"{name}: learning, row {state['rows']} of {state['rows_wanted']}"
        return f"{name}: {state.get('state', 'not heard yet')}"

    def _picture(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for name in self._machines:
            table.add_row(Text(name, style="bold"), self._state(name), self._score(name))
        alerts = [
            Text.assemble((f"{_kind(alert)} ", _style(alert)), alert["summary"])
            for alert in list(self._alarms.values())[-_ALARMS_SHOWN:]
        ]
        return Group(
            Panel(table, title=self._stage, title_align="left"),
            Panel(Group(*(alerts or [Text("none", style="dim")])), title="alerts", title_align="left"),
        )

    def _state(self, name: str) -> Text:
        state = str(self._states.get(name, {}).get("state", "waiting"))
        style = {"ready": "green", "failed": "red", "learning": "cyan"}.get(state, "yellow")
        return Text(f"{state:<13}", style=style)

    def _score(self, name: str) -> Text | ProgressBar:
        history = self._history[name]
        if not history:
            state = self._states.get(name, {})
            rows, wanted = state.get("rows", 0), max(state.get("rows_wanted", 1), 1)
            return ProgressBar(total=wanted, completed=min(rows, wanted), width=_HISTORY)
        line = Text()
        for ratio in history:
            block = _BLOCKS[min(int(ratio / _FULL_RATIO * len(_BLOCKS)), len(_BLOCKS) - 1)]
            line.append(block, style="red" if ratio > 1 else "green")
        return line.append(f"  {history[-1]:.2f} of threshold", style="red" if history[-1] > 1 else "dim")


def _kind(alert: dict[str, Any]) -> str:
    return "closed " if alert["state"] == "closed" else "ALERT  "


def _style(alert: dict[str, Any]) -> str:
    if alert["state"] == "closed":
        return "green"
    return "yellow" if alert["severity"] == "warning" else "bold red"
