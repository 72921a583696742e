"""How a machine did over a time, from the minutes and hours that are kept: scores and channels, thinned out."""

from dataclasses import dataclass, field

import msgspec
import numpy as np

from edge_agent.records import Float32
from edge_agent.store.history.incident import Incident, IncidentCurve
from edge_agent.store.history.minutes import HOUR_S, MINUTE_S, MOMENT_S, unpacked
from edge_agent.store.sqlite_file import Connection

_BEFORE_S = 600
"""An incident's curve begins so long before it."""
_POINTS = 240
_CLOSE_S = 480
"""An incident that lasted less is drawn from moments, which are kept for a few minutes only."""
CHANNELS_LIMIT = 40


@dataclass(frozen=True, slots=True)
class PastCurve:
    """A machine's past, in stretches of one length.

    Attributes:
        start_s: of the first stretch, seconds since 1970.
        scores: [N] highest score; NaN where there was none.
        channels: name -> [N, 3] mean, lowest and highest value.
    """

    start_s: int
    stretch_s: int
    scores: Float32
    channels: dict[str, Float32] = field(default_factory=dict)


def read_curve(
    connection: Connection, machine: str, *, start_s: int, end_s: int, stretch_s: int, channels: bool = False
) -> PastCurve:
    """The machine from `start_s` to `end_s`; from hours where that is close enough."""
    start_s -= start_s % stretch_s
    n = max(1, -(-(end_s - start_s) // stretch_s))
    table = "hours" if stretch_s % HOUR_S == 0 else "minutes"
    columns = "start, peak, layout, stats" if channels else "start, peak"
    place = "machine = (SELECT id FROM machines WHERE name = :machine) AND start >= :start AND start < :end"
    query = (
        f"SELECT {columns} FROM {table} WHERE {place} UNION ALL "  # noqa: S608 - names of ours
        f"SELECT {columns} FROM open_minutes WHERE {place}"
    )
    asked = {"machine": machine, "start": start_s, "end": start_s + n * stretch_s}
    rows = connection.execute(query, asked).fetchall()
    scores = np.full(n, np.nan, np.float32)
    if rows:
        slots = (np.array([row[0] for row in rows], np.int64) - start_s) // stretch_s
        peaks = np.array([np.nan if row[1] is None else row[1] for row in rows], np.float32)
        np.fmax.at(scores, slots, peaks)
    found = _channels(connection, rows, start_s=start_s, stretch_s=stretch_s, n=n) if channels else {}
    return PastCurve(start_s, stretch_s, scores, found)


def _channels(
    connection: Connection,
    rows: list[tuple[int, float | None, int, bytes]],
    *,
    start_s: int,
    stretch_s: int,
    n: int,
) -> dict[str, Float32]:
    by_layout: dict[int, list[tuple[int, bytes]]] = {}
    for start, _, layout, raw in rows:
        by_layout.setdefault(layout, []).append(((start - start_s) // stretch_s, raw))
    sums: dict[str, np.ndarray] = {}  # [N, 4] number, sum, lowest, highest
    for layout, found in by_layout.items():
        names = layout_names(connection, layout)
        good = [(slot, stats) for slot, raw in found if len(stats := unpacked(raw, len(names)))]
        if not good:
            continue
        slots = np.array([slot for slot, _ in good], np.intp)
        stats = np.stack([one for _, one in good]).astype(np.float64)  # [R, C, 4]
        for place, name in enumerate(names):
            total = sums.get(name)
            if total is None:
                if len(sums) >= CHANNELS_LIMIT:
                    continue
                total = sums[name] = np.tile([0.0, 0.0, np.inf, -np.inf], (n, 1))
            of_one = stats[:, place]
            np.add.at(total[:, 0], slots, of_one[:, 0])
            np.add.at(total[:, 1], slots, of_one[:, 0] * of_one[:, 1])
            np.minimum.at(total[:, 2], slots, of_one[:, 2])
            np.maximum.at(total[:, 3], slots, of_one[:, 3])
    curves = {}
    for name, total in sums.items():
        there = total[:, 0] > 0
        curve = np.full((n, 3), np.nan, np.float32)
        curve[there, 0] = total[there, 1] / total[there, 0]
        curve[there, 1:] = total[there, 2:]
        curves[name] = curve
    return curves


def layout_names(connection: Connection, layout: int) -> tuple[str, ...]:
    """The channels of a layout; empty where it cannot be read."""
    row = connection.execute("SELECT names FROM layouts WHERE id = ?", (layout,)).fetchone()
    try:
        return msgspec.json.decode(row[0], type=tuple[str, ...]) if row else ()
    except msgspec.MsgspecError:
        return ()


def read_moments(
    connection: Connection, *, since_s: int = 0, until_s: int = 1 << 60
) -> dict[int, dict[str, float]]:
    """The highest score of each machine in each of the latest moments, by the moment's beginning."""
    query = "SELECT start_s, peaks FROM moments WHERE start_s BETWEEN ? AND ? ORDER BY start_s"
    found = {}
    for start_s, raw in connection.execute(query, (since_s, until_s)):
        try:
            found[int(start_s)] = msgspec.msgpack.decode(raw, type=dict[str, float])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
    return found


def incident_curve(connection: Connection, incident: Incident) -> IncidentCurve | None:
    """The score from just before an incident until it ended, as close as it is still known."""
    machine = incident.alarm.machine
    start_s = incident.alarm.onset_ns // 1_000_000_000 - _BEFORE_S
    end_s = incident.closed_ns // 1_000_000_000 + MINUTE_S
    if end_s <= start_s:
        return None
    if end_s - start_s <= _BEFORE_S + _CLOSE_S:
        start_s += _BEFORE_S - 120
        start_s -= start_s % MOMENT_S
        scores = np.full((end_s - start_s) // MOMENT_S + 1, np.nan, np.float32)
        for moment_s, peaks in read_moments(connection, since_s=start_s, until_s=end_s).items():
            if machine in peaks:
                scores[(moment_s - start_s) // MOMENT_S] = peaks[machine]
        if np.isfinite(scores).sum() > 1:
            return IncidentCurve(float(start_s), float(MOMENT_S), scores.tobytes())
    minutes = max(1, -(-(end_s - start_s) // (_POINTS * MINUTE_S)))
    curve = read_curve(connection, machine, start_s=start_s, end_s=end_s, stretch_s=minutes * MINUTE_S)
    if not np.isfinite(curve.scores).any():
        return None
    return IncidentCurve(float(curve.start_s), float(curve.stretch_s), curve.scores.tobytes())
