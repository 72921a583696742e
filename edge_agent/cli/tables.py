"""Tables on standard output: fitted to a terminal; elsewhere one line a row, however long, without any colour.

Whatever a command shows goes through here: much of it came over a network, and none of it may steer a terminal.
"""

import io
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import tzinfo
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from edge_agent.alarms.local_time import moment, parsed_ns
from edge_agent.logs import is_journal, printable, with_priority

_UNBOUNDED_COLUMNS = 100_000
"""A pipe or file has no width: programs that read lines must find a row in one."""


_MEANING = {
    "counter": ", its rate is watched",
    "state": ", not scored",
    "constant": ", not scored",
    "ignore": ", not watched",
}


def grid(*headings: str) -> Table:
    """A table without lines around its cells; without headings, a grid."""
    table = Table(box=None, pad_edge=False, show_header=bool(headings), header_style="bold")
    for heading in headings:
        table.add_column(heading)
    return table


def console(*, file: TextIO | None = None, stderr: bool = False, width: int | None = None) -> Console:
    """What draws on a screen: text is text, whatever brackets and colons stand in it."""
    return Console(file=file, stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def show(*parts: RenderableType) -> None:
    """Print tables and lines."""
    terminal = console()
    if terminal.is_terminal:
        terminal.print(*map(_Printable, parts), sep="\n")
    else:
        sys.stdout.write(text(*parts))
    sys.stdout.flush()


def tell_error(error: object) -> None:
    """An error for people, on standard error; of its priority where that is the journal."""
    if is_journal(sys.stderr):
        sys.stderr.write(with_priority(f"error: {printable(str(error))}", "error") + "\n")
        return
    told = Text.assemble(("error:", "bold red"), f" {printable(str(error))}")
    console(stderr=True).print(told, soft_wrap=True)


class _Printable:
    """What is to be shown, with its colours and without anything else that steers a terminal."""

    def __init__(self, part: RenderableType) -> None:
        self._part = part

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._part, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def kinds_line(kinds: Iterable[tuple[str, str]]) -> str:
    """What channels are that are not analog, and what that means, in a line."""
    return "; ".join(f"{name}: {kind}{_MEANING.get(kind, '')}" for name, kind in kinds)


def local(text: str, zone: tzinfo) -> str:
    """A time of a message as people of that zone read it; one that cannot be read stays as it is."""
    try:
        return moment(parsed_ns(text), zone, beside_ns=time.time_ns())
    except ValueError:
        return text


def seen_once_line(stretches: Iterable[tuple[str, str, str]]) -> str:
    """(from, to, channel) of what was unlike all else while a machine was learnt, in a line."""
    said = "; ".join(f"{start} to {end} ({channel})" for start, end, channel in stretches)
    return f"seen once while it was learnt, and normal since: {said}; was one a fault? Then learn it afresh"


def text(*parts: RenderableType) -> str:
    """Tables and lines as a pipe gets them: plain, nothing wrapped, no blanks at the ends of lines."""
    page = console(file=io.StringIO(), width=_UNBOUNDED_COLUMNS)
    with page.capture() as captured:
        page.print(*map(_Printable, parts), sep="\n")
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())
