"""The reference pages that are written from the code: the command line and the metrics. `--check` writes nothing."""

import sys
from pathlib import Path

import typer.main
from typer.cli import get_docs_for_click

from edge_agent.cli.app import app
from edge_agent.metrics.series import TABLE

DOCS = Path(__file__).parents[1] / "docs"
_NOTE = "<!-- Written from the code by `make docs`; edit the code. -->\n\n"


def command_line() -> str:
    """Every command with its arguments and options."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="edge-agent")
    lines = (line.rstrip().replace("[required]", "(required)") for line in text.splitlines())
    return _NOTE + "\n".join(lines).rstrip() + "\n"


def metrics() -> str:
    """Every series of the metrics page."""
    rows = [
        f"| `{series.name}` | {series.kind} | {', '.join(series.labels)} | {series.help} |"
        for series in TABLE
    ]
    head = ["# Metrics, one by one", "", "| metric | kind | labels | meaning |", "|---|---|---|---|"]
    return _NOTE + "\n".join([*head, *rows]) + "\n"


PAGES = {"reference-command-line.md": command_line, "reference-metrics.md": metrics}


def main() -> None:
    """Write the pages, or say which are not as the code has them."""
    stale = [
        name
        for name, write in PAGES.items()
        if not (DOCS / name).is_file() or (DOCS / name).read_text() != write()
    ]
    if "--check" in sys.argv:
        sys.exit(f"not as the code has them, run `make docs`: {', '.join(stale)}" if stale else 0)
    for name in stale:
        (DOCS / name).write_text(PAGES[name]())
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
