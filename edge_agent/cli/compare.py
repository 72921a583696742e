"""The command `replay --against`: the same recordings through two agents, and which alarms differ. Writes no file."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_agent.alarms.payload import rfc3339
from edge_agent.cli.alarm_diff import Difference, diff
from edge_agent.cli.replay import How, how, play
from edge_agent.config.file import SHIPPED_BUNDLES, Config, load
from edge_agent.errors import UsageError
from edge_agent.recordings import tables as recordings
from edge_agent.records import Alarm


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
    as_json: bool,
) -> str:
    """Replay each recording twice, each time learnt and scored as that configuration says.

    Returns:
        What to print.

    Raises:
        EdgeAgentError: a model or a recording cannot be used.
    """
    sides = (how(a, commission_rows=commission_rows), how(b, commission_rows=commission_rows))
    said: tuple[list[Alarm], list[Alarm]] = ([], [])
    for file in files:
        recording = recordings.read(file, channels=channels, exclude=exclude)
        for side, alarms in zip(sides, said, strict=True):
            alarms.extend(play(recording, side, casebook=None).alarms)
    found = diff(*said)
    if as_json:
        return json.dumps(table(found, sides), indent=2) + "\n"
    return "".join(f"{line}\n" for line in lines(found, sides))


def table(found: Difference, sides: tuple[How, How]) -> dict[str, Any]:
    """The difference as plain values."""
    return {
        "a": {"model": sides[0].scorer.bundle.digest},
        "b": {"model": sides[1].scorer.bundle.digest},
        "only_a": [_plain(alarm) for alarm in found.only_a],
        "only_b": [_plain(alarm) for alarm in found.only_b],
        "both": [
            {
                "a": _plain(pair.a),
                "b": _plain(pair.b),
                "onset_shift_s": pair.onset_shift_s,
                "peak_change": round(pair.peak_change, 3),
            }
            for pair in found.both
        ],
    }


def _plain(alarm: Alarm) -> dict[str, Any]:
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


def lines(found: Difference, sides: tuple[How, How]) -> Iterator[str]:
    """The difference for a terminal."""
    for name, side in zip("AB", sides, strict=True):
        manifest = side.scorer.bundle.manifest
        yield f"{name}  {manifest.name} {manifest.version} ({side.scorer.bundle.digest[:12]})"
    for title, alarms in (("only in A", found.only_a), ("only in B", found.only_b)):
        yield f"\n{title}: {len(alarms)}"
        for alarm in alarms:
            yield f"  {_line(alarm)}  peak {alarm.peak_score:.2f}"
    yield f"\nin both: {len(found.both)}"
    for pair in found.both:
        yield (
            f"  {_line(pair.a)}  B {pair.onset_shift_s:+.0f} s, "
            f"peak {pair.a.peak_score:.2f} -> {pair.b.peak_score:.2f}"
        )


def _line(alarm: Alarm) -> str:
    end = "still open" if alarm.closed_ns is None else f"to {rfc3339(alarm.closed_ns)}"
    return f"{alarm.machine:20} {alarm.kind:8} {rfc3339(alarm.onset_ns)} {end}"
