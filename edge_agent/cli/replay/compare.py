"""The command `replay --against`: the same recordings through two agents, and which alarms differ. Writes no file.

Two alarms are the same one where they are of the same machine and kind and overlap in time; of several, those that
overlap longest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from edge_agent.alarms.payload import rfc3339
from edge_agent.cli.replay.play import Setup, play, set_up
from edge_agent.cli.tables import grid
from edge_agent.config.file import Config, load
from edge_agent.config.sections import SHIPPED_BUNDLES
from edge_agent.errors import UsageError
from edge_agent.formats.mapping.times import TimeRule
from edge_agent.recordings import tables as recordings
from edge_agent.records import Alarm

_FOR_EVER_NS = 2**62


@dataclass(frozen=True, slots=True)
class Pair:
    """One alarm as both saw it."""

    a: Alarm
    b: Alarm

    @property
    def onset_shift_s(self) -> float:
        """How much later B's began; negative: earlier."""
        return (self.b.onset_ns - self.a.onset_ns) / 1e9

    @property
    def peak_change(self) -> float:
        """How much higher B's worst score was, in thresholds."""
        return self.b.peak_score - self.a.peak_score


@dataclass(frozen=True, slots=True)
class Difference:
    """What A and B said; each alarm as its last revision left it, by onset."""

    only_a: tuple[Alarm, ...]
    only_b: tuple[Alarm, ...]
    both: tuple[Pair, ...]


def other(config: Config, named: Path) -> Config:
    """The configuration to compare with: a TOML file, or the same one with another bundle.

    Raises:
        ConfigError: the file has faults.
        UsageError: it is neither a TOML file, nor a bundle's directory or shipped name.
    """
    if named.suffix == ".toml":
        return load(named)
    if str(named) not in SHIPPED_BUNDLES and not named.is_dir():
        shipped = ", ".join(SHIPPED_BUNDLES)
        raise UsageError(f"--against {named}: neither a .toml file nor a bundle's directory ({shipped})")
    return with_bundle(config, named)


def with_bundle(config: Config, bundle: Path) -> Config:
    """The same configuration with another bundle."""
    return config.model_copy(update={"model": config.model.model_copy(update={"bundle": bundle})})


def run(
    a: Config,
    b: Config,
    *,
    files: Sequence[Path],
    commission_rows: int | None,
    channels: tuple[str, ...] | None,
    exclude: tuple[str, ...],
    times: TimeRule | None = None,
) -> tuple[Difference, tuple[Setup, Setup]]:
    """Replay each recording twice, each time learnt and scored as that configuration says.

    Returns:
        Which alarms differ, and what A and B were set up with.

    Raises:
        EdgeAgentError: a model or a recording cannot be used.
    """
    sides = (set_up(a, commission_rows=commission_rows), set_up(b, commission_rows=commission_rows))
    said: tuple[list[Alarm], list[Alarm]] = ([], [])
    for file in files:
        recording = recordings.read(file, channels=channels, exclude=exclude, times=times)
        for side, alarms in zip(sides, said, strict=True):
            alarms.extend(play(recording, side, library=None).alarms)
    return diff(*said), sides


def diff(a: Sequence[Alarm], b: Sequence[Alarm]) -> Difference:
    """Pair the alarms of A with those of B; either may hold several revisions of an alarm."""
    ours, theirs = _last(a), _last(b)
    overlaps = sorted(
        (
            (-shared, i, j)
            for i, one in enumerate(ours)
            for j, other in enumerate(theirs)
            if (one.machine, one.kind) == (other.machine, other.kind)
            and (shared := _shared_ns(one, other)) > 0
        ),
    )
    taken_a: set[int] = set()
    taken_b: set[int] = set()
    both: list[Pair] = []
    for _, i, j in overlaps:
        if i not in taken_a and j not in taken_b:
            taken_a.add(i)
            taken_b.add(j)
            both.append(Pair(ours[i], theirs[j]))
    return Difference(
        only_a=tuple(alarm for i, alarm in enumerate(ours) if i not in taken_a),
        only_b=tuple(alarm for j, alarm in enumerate(theirs) if j not in taken_b),
        both=tuple(sorted(both, key=lambda pair: (pair.a.machine, pair.a.onset_ns))),
    )


def _last(revisions: Sequence[Alarm]) -> list[Alarm]:
    latest = {(alarm.machine, alarm.id): alarm for alarm in revisions}
    return sorted(latest.values(), key=lambda alarm: (alarm.machine, alarm.onset_ns))


def _shared_ns(a: Alarm, b: Alarm) -> int:
    """How long both were open; the moment of its onset belongs to an alarm."""
    return min(_end_ns(a), _end_ns(b)) - max(a.onset_ns, b.onset_ns)


def _end_ns(alarm: Alarm) -> int:
    return _FOR_EVER_NS if alarm.closed_ns is None else max(alarm.closed_ns, alarm.onset_ns + 1)


def plain(found: Difference, sides: tuple[Setup, Setup]) -> dict[str, Any]:
    """The difference as plain values."""
    return {
        "a": {"model": sides[0].scorer.bundle.digest},
        "b": {"model": sides[1].scorer.bundle.digest},
        "only_a": [_plain_alarm(alarm) for alarm in found.only_a],
        "only_b": [_plain_alarm(alarm) for alarm in found.only_b],
        "both": [
            {
                "a": _plain_alarm(pair.a),
                "b": _plain_alarm(pair.b),
                "onset_shift_s": pair.onset_shift_s,
                "peak_change": round(pair.peak_change, 3),
            }
            for pair in found.both
        ],
    }


def _plain_alarm(alarm: Alarm) -> dict[str, Any]:
    return {
        "id": alarm.id,
        "machine": alarm.machine,
        "kind": alarm.kind,
        "onset": rfc3339(alarm.onset_ns),
        "closed": None if alarm.closed_ns is None else rfc3339(alarm.closed_ns),
        "peak_score": round(alarm.peak_score, 3),
        "fault": alarm.fault,
        "channels": [channel.name for channel in alarm.channels],
    }


def parts(found: Difference, sides: tuple[Setup, Setup]) -> Iterator[RenderableType]:
    """The difference for people: headings and tables."""
    for name, side in zip("AB", sides, strict=True):
        manifest = side.scorer.bundle.manifest
        yield Text(f"{name}  {manifest.name} {manifest.version} ({side.scorer.bundle.digest[:12]})")
    for title, alarms in (("only in A", found.only_a), ("only in B", found.only_b)):
        yield f"\n{title}: {len(alarms)}"
        if alarms:
            yield _table(("peak",), [(alarm, f"{alarm.peak_score:.2f}") for alarm in alarms])
    yield f"\nin both: {len(found.both)}"
    if found.both:
        rows = [
            (
                pair.a,
                f"{pair.onset_shift_s:+.0f} s",
                f"{pair.a.peak_score:.2f}",
                f"{pair.b.peak_score:.2f}",
            )
            for pair in found.both
        ]
        yield _table(("B begins", "peak in A", "in B"), rows)


def _table(headings: tuple[str, ...], rows: Sequence[tuple[Alarm, *tuple[str, ...]]]) -> Table:
    table = grid("machine", "kind", "onset", "end", *headings)
    for alarm, *cells in rows:
        end = "still open" if alarm.closed_ns is None else rfc3339(alarm.closed_ns)
        table.add_row(Text(alarm.machine), alarm.kind, rfc3339(alarm.onset_ns), end, *cells)
    return table
