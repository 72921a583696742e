"""The reference that is written from the code: command line, metrics, schema of the commands.

With `--check` it writes nothing and says what is stale. Every word comes from this project's own texts, none from a
library's help pages or schemas: a new release of one must not make the reference stale.
"""

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Self, get_args, get_origin

import msgspec
import typer
from typer.models import ArgumentInfo

from edge_agent.alarms.requests import COMMANDS, Reply
from edge_agent.cli.app import app
from edge_agent.metrics.series import TABLE

DOCS = Path(__file__).parents[1] / "docs"
_NOTE = "<!-- Written from the code by `make docs`; edit the code. -->\n\n"


def command_line() -> str:
    """Every command with its arguments and options, read from the functions that the program declares."""
    return _NOTE + "\n".join(_group(app, "edge-agent", depth=1)) + "\n"


def _group(group: typer.Typer, name: str, *, depth: int) -> Iterator[str]:
    """The lines about a command with commands below it, and about those."""
    own = group.registered_callback.callback
    yield from _command(own, name, depth=depth, after=" COMMAND")
    commands = {
        info.name or _word(info.callback.__name__): info.callback for info in group.registered_commands
    }
    groups = {info.name: info.typer_instance for info in group.registered_groups}
    yield from ("", "| command | what it does |", "|---|---|")
    for word, callback in commands.items():
        yield f"| `{word}` | {inspect.getdoc(callback)} |"
    for word, inner in groups.items():
        yield f"| `{word}` | {inspect.getdoc(inner.registered_callback.callback)} |"
    for word, callback in commands.items():
        yield ""
        yield from _command(callback, f"{name} {word}", depth=depth + 1)
    for word, inner in groups.items():
        yield ""
        yield from _group(inner, f"{name} {word}", depth=depth + 1)


def _command(callback: Callable[..., Any], name: str, *, depth: int, after: str = "") -> Iterator[str]:
    """The lines about one command: what it does, how it is called, what it takes."""
    params = [
        _Param.read(param)
        for param in inspect.signature(callback, eval_str=True).parameters.values()
        if get_origin(param.annotation) is Annotated
    ]
    arguments = [param for param in params if param.is_argument]
    options = [param for param in params if not param.is_argument]
    usage = name + (" [OPTIONS]" if options else "") + "".join(f" {each.names[0]}" for each in arguments)
    yield from (f"{'#' * depth} `{name}`", "", inspect.getdoc(callback) or "", "")
    yield from ("```console", f"$ {usage}{after}", "```")
    if params:
        yield from ("", "| argument or option | meaning |", "|---|---|")
    for param in arguments + options:
        yield f"| {', '.join(f'`{text}`' for text in param.names)} | {param.meaning} |"


@dataclass(frozen=True, slots=True)
class _Param:
    """An argument or option as the page shows it."""

    is_argument: bool
    names: tuple[str, ...]
    meaning: str

    @classmethod
    def read(cls, param: inspect.Parameter) -> Self:
        """What an annotated parameter of a command's function declares."""
        kind, info = get_args(param.annotation)
        is_argument = isinstance(info, ArgumentInfo)
        taken = next(each for each in get_args(kind) or (kind,) if each is not type(None))
        if is_argument:
            names = (param.name.upper() + ("..." if get_origin(kind) is list else ""),)
        else:
            value = "" if taken is bool else f" {_VALUES.get(taken, 'NUMBER')}"
            # Within Annotated, typer keeps the first name where an option outside of it has its default.
            first = () if info.default in (..., None) else (info.default,)
            declared = (*first, *(info.param_decls or ())) or (f"--{_word(param.name)}",)
            names = tuple(f"{each}{value}" for each in declared)
        more = []
        if issubclass(taken, Enum):
            more.append("one of " + ", ".join(f"`{choice.value}`" for choice in taken))
        if info.min is not None:
            more.append(f"at least {info.min:g}")
        if info.max is not None:
            more.append(f"at most {info.max:g}")
        if param.default not in (param.empty, None, "", False):
            more.append(f"default: `{param.default}`")
        return cls(is_argument, names, info.help + (f" ({'; '.join(more)})" if more else ""))


_VALUES = {str: "TEXT", Path: "PATH"}


def _word(name: str) -> str:
    return name.replace("_", "-")


def metrics() -> str:
    """Every series of the metrics page."""
    rows = [
        f"| `{series.name}` | {series.kind} | {', '.join(series.labels)} | {series.help} |"
        for series in TABLE
    ]
    head = ["# Metrics, one by one", "", "| metric | kind | labels | meaning |", "|---|---|---|---|"]
    return _NOTE + "\n".join([*head, *rows]) + "\n"


def commands_schema() -> str:
    """JSON Schema of the commands and their replies, from the types that check them."""
    kinds = (*COMMANDS.values(), Reply)
    _, parts = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for kind in kinds:
        parts[kind.__name__]["description"] = inspect.getdoc(kind)
    names = ", ".join(kind.__name__ for kind in COMMANDS.values())
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "edge-agent commands and replies",
        "description": f"Payloads on agents/{{agent}}/cmd/{{command}}: {names}; "
        "and of the Reply on agents/{agent}/reply/{id}. See commands.md.",
    }
    return json.dumps(head | {"$defs": parts}, indent=1) + "\n"


PAGES = {
    "reference-command-line.md": command_line,
    "reference-metrics.md": metrics,
    "commands.schema.json": commands_schema,
}


def _is_current(name: str) -> bool:
    path = DOCS / name
    if not path.is_file():
        return False
    read = json.loads if path.suffix == ".json" else str  # the order of keys says nothing
    return bool(read(path.read_text()) == read(PAGES[name]()))


def main() -> None:
    """Write the pages, or say which are not as the code has them."""
    stale = [name for name in PAGES if not _is_current(name)]
    if "--check" in sys.argv:
        sys.exit(f"not as the code has them, run `make docs`: {', '.join(stale)}" if stale else 0)
    for name in stale:
        (DOCS / name).write_text(PAGES[name]())
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
