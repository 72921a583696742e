"""A contact sheet of all kinds of machines as one small SVG: a start after a night, then a fault. No library.

`python -m simulator --picture FILE` writes it; docs/simulator.md shows it.
"""

from collections.abc import Iterator
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from simulator.habits import Habits, Hours, Weather
from simulator.habits.hours import EVERY_DAY
from simulator.kinds import KINDS
from simulator.plan import HOUR_S
from simulator.records import Injection, Kind, Run
from simulator.simulation import START_TS, simulate

_POINTS = 240
_COLUMNS, _CURVES = 4, 6
_WIDTH, _LINE, _HEAD, _GAP = _POINTS, 22, 30, 18
_FINE = 4  # steps of a curve within a pixel
_SPAN_S = {"compressor": 5400.0, "coldroom": 16.0 * HOUR_S}
_DAY_S = 20.0 * HOUR_S
_BEGIN_H = 6.0
_STILL, _FAULTY = 0.12, 0.65  # shares of the picture: before the start, before the fault
_STYLE = (
    "text{font:10px sans-serif;fill:#556;paint-order:stroke;stroke:#fff;stroke-width:2px}"
    ".k{font-weight:bold;font-size:12px}.f{fill:#c33}"
    "path{fill:none;stroke:#27c;stroke-width:.8;vector-effect:non-scaling-stroke}.g{stroke:#c33}"
    "rect{fill:#c33;opacity:.1}"
)


def contact_sheet() -> str:
    """The picture as SVG."""
    height = _HEAD + _CURVES * _LINE + _GAP
    total_w = _COLUMNS * (_WIDTH + _GAP) + _GAP
    total_h = -(-len(KINDS) // _COLUMNS) * height + _GAP
    panels = []
    for number, kind in enumerate(KINDS.values()):
        left = _GAP + number % _COLUMNS * (_WIDTH + _GAP)
        top = _GAP + number // _COLUMNS * height
        panels.append(f'<g transform="translate({left} {top})">{"".join(_panel(kind))}</g>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_w} {total_h}" width="{total_w}">'
        f'<style>{_STYLE}</style><path d="M0 0h{total_w}v{total_h}h-{total_w}z" style="fill:#fff;stroke:none"/>'
        f"{''.join(panels)}</svg>\n"
    )


def _panel(kind: Kind) -> Iterator[str]:
    """One kind: its name, its fault, and some of its channels, the guilty ones first."""
    fault = kind.faults[0]
    run = _run(kind, fault.name)
    others = [channel.name for channel in kind.channels if channel.name not in fault.channels]
    shown = [*fault.channels, *others][:_CURVES]
    yield f'<text class="k" y="4">{escape(kind.name)}</text><text class="f" y="17">{escape(fault.name)}</text>'
    yield f'<rect x="{_FAULTY * _WIDTH:.0f}" y="22" width="{(1.0 - _FAULTY) * _WIDTH:.0f}" height="{_CURVES * _LINE}"/>'
    for number, name in enumerate(shown):
        guilty = ' class="g"' if name in fault.channels else ""
        column = run.channels.index(name)
        y = _HEAD + number * _LINE
        curve = _curve(run.values[:, column], top=y)
        yield f'<path{guilty} transform="scale(1 {1.0 / _FINE})" d="{curve}"/>'
        yield f'<text x="2" y="{y}" style="font-size:7px">{escape(name)}, {escape(run.units[column])}</text>'


def _run(kind: Kind, fault: str) -> Run:
    span_s = _SPAN_S.get(kind.name, _DAY_S)
    if kind.cycle_s:
        span_s = 6.0 * sum(high for _, high in kind.cycle_s)
    start = int(_FAULTY * _POINTS)
    return simulate(
        kind.name,
        rows=_POINTS,
        seed=1,
        rate_hz=_POINTS / span_s,
        injections=[Injection(fault, start, int(0.15 * _POINTS))],
        habits=Habits(hours=Hours(days=EVERY_DAY, jitter_h=0.0, stop_h=24.0), weather=Weather()),
        start_ts=START_TS + _BEGIN_H * HOUR_S - _STILL * span_s,
    )


def _curve(values: npt.NDArray[np.float32], *, top: int) -> str:
    """A line with a step to the right for each value; whole numbers, of which SVG needs no spaces before a sign."""
    low, high = float(values.min()), float(values.max())
    share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    rows = np.round((1.0 - share) * _FINE * (_LINE - 6)).astype(int)
    moves = "".join(f"1{step:+d} ".replace("+", " ") for step in np.diff(rows).tolist())
    return f"M0 {_FINE * top + rows[0]}l{moves.strip()}"
