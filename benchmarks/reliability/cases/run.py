"""Plays folders of cases and holds what happens against what is right -> docs/cases.md.

    python -m benchmarks.reliability.cases.run --cases ../shared/cases    # and our own, below tests/cases

A case of our own is a folder with `expect.json` beside its messages or recording.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.reliability.cases.checks import CHECKS, Expectation
from benchmarks.reliability.cases.play import PlayedCase, Reading, play

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "cases.md"
OWN = ROOT / "tests" / "cases"
_HEAD = """\
# Cases

What plants send, played: messages are heard by `discover`, its proposal is checked as a file would be and reads the
same messages; recordings are read as `replay` reads them; a simulated week is learnt from its first day and judged row
by row. Written by `make cases`, without a broker. Cases named `pub-…` are public reports of others.

Attacks on a running agent (`break-…`) start a broker and an agent of their own and end with 0 where the product does
right: `BREAK_ROOT=$PWD python ../shared/cases/break-NAME/run.py`.

| case | what came in | what is right | what happened | |
|---|---|---|---|---|
"""


def own_expectation(folder: Path) -> Expectation | None:
    """What a case of our own says is right: of the proposal, of the case's own `agent.toml`, of the recordings."""
    path = folder / "expect.json"
    if not path.is_file():
        return None
    told = json.loads(path.read_text())

    def holds(played: PlayedCase) -> bool:
        found = {name: sorted(channels) for name, channels in played.machines.items()}
        if len(found) != told.get("machine_count", len(found)) or found != _sorted(told, "machines", found):
            return False
        if any(name not in played.left_out for name in told.get("left_out", ())):
            return False
        if any(why not in played.unread.get(topic, "") for topic, why in told.get("unread", {}).items()):
            return False
        if told.get("stamped", played.by_proposal.stamped) != played.by_proposal.stamped:
            return False
        if "lost" in told and _losses(played.by_proposal) != told["lost"]:
            return False
        return _file_holds(played, told.get("file")) and _recordings_hold(played, told.get("recordings", {}))

    return Expectation(told["right"], holds)


def _sorted(told: Mapping[str, Any], key: str, otherwise: Mapping[str, list[str]]) -> Mapping[str, list[str]]:
    return {name: sorted(names) for name, names in told[key].items()} if key in told else otherwise


def _losses(reading: Reading) -> dict[str, int]:
    return dict(reading.rejected + reading.lost)


def _file_holds(played: PlayedCase, told: Mapping[str, Any] | None) -> bool:
    """Whether the case's own configuration reads what it should: machines, first values, times, losses."""
    if told is None:
        return True
    reading = played.by_file
    if reading is None:
        return False
    found = {name: sorted(channels) for name, channels in reading.channels.items()}
    times = [round(datetime.fromisoformat(text).timestamp() * 1e9) for text in told.get("times", ())]
    return (
        found == _sorted(told, "machines", found)
        and all(abs(reading.values[name][0] - value) < 1e-4 for name, value in told.get("first", {}).items())
        and reading.times_ns[: len(times)] == times
        and _losses(reading) == told.get("lost", _losses(reading))
    )


def _recordings_hold(played: PlayedCase, told: Mapping[str, Any]) -> bool:
    for name, (rows, channels) in told.items():
        found = played.recordings[name]
        if isinstance(found, str) or (len(found.values), list(found.channels)) != (rows, channels):
            return False
    return True


def happened(played: PlayedCase) -> str:
    """What came of a case, in words."""
    told: list[str] = []
    if played.machines:
        shown = [f"{name} ({len(channels)})" for name, channels in sorted(played.machines.items())[:6]]
        told.append(f"{len(played.sources)} source(s); machines (channels): {', '.join(shown)}")
        told.append(
            f"{played.by_proposal.accepted} messages read, lost: {_losses(played.by_proposal) or 'nothing'}"
        )
    elif played.unread:
        told.append(f"nothing proposed: {next(iter(played.unread.values()))}")
    if played.by_file is not None:
        shown = [
            f"{name} ({len(channels)})" for name, channels in sorted(played.by_file.channels.items())[:6]
        ]
        told.append(f"by its own file: {', '.join(shown)}, lost: {_losses(played.by_file) or 'nothing'}")
    if played.left_out:
        told.append(f"left out: {', '.join(list(played.left_out)[:5])}")
    for name, found in played.recordings.items():
        if isinstance(found, str):
            told.append(f"{name} refused: {found}")
        else:
            said = "; ".join(found.notes) or "as it is"
            told.append(f"{name}: {len(found.values)} rows of {', '.join(found.channels)} ({said})")
    if week := played.week:
        found = "found" if week["found"] else "**not found**"
        told.append(
            f"{week['false']} false incident(s), the fault {found} (peak {week['peak']:g}), "
            f"{week['in_alarm']:.2%} of the calm time in alarm; notices: {week['notices'] or 'none'}"
        )
    told += played.sparkplug
    told += [f"{name}: {', '.join(said) or 'nothing said'}" for name, said in played.quiet.items()]
    return "; ".join(told).replace("|", "/").replace("\n", " ")[:400]


def rows(folders: Sequence[Path]) -> Iterator[tuple[str, bool | None]]:
    """(a line of the table, whether it is right; None where nobody said what is) of each case that can be played."""
    for folder in folders:
        expected = own_expectation(folder) or next(
            (one for name, one in CHECKS.items() if folder.name.startswith(name)), None
        )
        if expected is None:
            continue
        played = play(folder)
        try:
            right = bool(expected.holds(played))
        except (KeyError, IndexError, TypeError, AttributeError):
            right = False
        verdict = "right" if right else "**wrong**"
        yield f"| {folder.name} | {played.heard} | {expected.right} | {happened(played)} | {verdict} |", right


def main(argv: Sequence[str] | None = None) -> int:
    """Play all, write the page, and say how many are right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path, default=ROOT.parent / "shared" / "cases")
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args(argv)
    folders = [
        path
        for root in (options.cases, OWN)
        if root.is_dir()
        for path in sorted(root.iterdir())
        if path.is_dir()
    ]
    lines = list(rows(folders))
    good = sum(right is True for _, right in lines)
    tail = f"\n{good} of {len(lines)} are right.\n"
    options.out.write_text(_HEAD + "\n".join(line for line, _ in lines) + "\n" + tail)
    print("\n".join(line for line, right in lines if not right))
    print(tail.strip())
    return 0 if good == len(lines) else 1


if __name__ == "__main__":
    raise SystemExit(main())
