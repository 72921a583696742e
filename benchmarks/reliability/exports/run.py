"""Goes from each export to a learnt machine as a person would, and says what came of it -> docs/exports.md.

    python -m benchmarks.reliability.exports.run

Every form holds the same rows of the same machine, made by `machine`; its fault must be raised at the same true time.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.reliability.exports.forms import Form
from benchmarks.reliability.exports.machine import FAULT_ROW, LEARNT_ROWS, made
from benchmarks.reliability.exports.table import MORE, MUST, TIDY
from edge_agent.cli.replay.play import Setup, play, set_up
from edge_agent.config.file import Config
from edge_agent.errors import EdgeAgentError
from edge_agent.formats.mapping.times import TimeRule
from edge_agent.recordings import tables

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "exports.md"
_HEAD = """\
# Exports

What programs export, read as it is: nothing is edited by hand. Each file holds the same {rows} rows of the same pump,
whose fault begins at {fault}; the machine is learnt from the first {learnt}. Made, read, learnt and replayed by
`make exports`; [recording](recording.md#tables-of-others) says how a table is read.
"""
_TABLE = """
## {title}

| form | command | what was assumed | rows | alarm raised, onset | s |
|---|---|---|---|---|---|
"""


def main() -> None:
    """Write the page; it fails where a form does not come to the same alarm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    rows = made()
    setup = set_up(Config(), commission_rows=LEARNT_ROWS)
    fault = rows.moments[FAULT_ROW].strftime("%H:%M:%S")
    text = _HEAD.format(rows=len(rows.values), fault=fault, learnt=LEARNT_ROWS)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        expected = _alarm(_file(TIDY, Path(folder)), TIDY, setup)[1]
        for title, forms in (("What plants send most", (TIDY, *MUST)), ("Their kin", MORE)):
            text += _TABLE.format(title=title)
            for form in forms:
                began = time.perf_counter()
                count, alarm, notes = _alarm(_file(form, Path(folder)), form, setup)
                took_s = time.perf_counter() - began
                wrong += [] if alarm == expected else [form.file]
                command = " ".join(("edge-agent replay --commission-rows 600", *form.options, form.file))
                said = "; ".join(notes).replace("|", "/") or "nothing"
                text += f"| {form.title} | `{command}` | {said} | {count} | {alarm} | {took_s:.1f} |\n"
    options.page.write_text(text + "".join(_closing(wrong)))
    print(f"{options.page}: {1 + len(MUST) + len(MORE) - len(wrong)} right, wrong: {wrong or 'none'}")
    if wrong:
        raise SystemExit(1)


def _file(form: Form, folder: Path) -> Path:
    path = folder / form.file
    path.write_bytes(form.content(made()))
    return path


def _alarm(path: Path, form: Form, setup: Setup) -> tuple[int, str, tuple[str, ...]]:
    """(rows, when its first alarm was raised and when that began, what was assumed)."""
    zone = form.options[1] if form.options else ""
    try:
        found = tables.read(path, times=TimeRule(timezone=zone))
        played = play(found, setup, library=None)
    except EdgeAgentError as error:
        return 0, str(error), ()
    opened = [one for one in played.alarms if one.revision == 1]
    said = ", ".join(f"{_clock(one.time_ns)}, {_clock(one.onset_ns)}" for one in opened) or "none"
    return len(found.values), said, found.notes


def _clock(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%d %b %H:%M:%S")


def _closing(wrong: list[str]) -> Iterator[str]:
    yield "\nTimes are UTC; seconds are of one run on a busy machine, reading, learning and replaying.\n"
    if wrong:
        yield f"\n**Not as the tidy one**: {', '.join(wrong)}.\n"


if __name__ == "__main__":
    main()
