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


@dataclass(frozen=True, slots=True)
class Page:
    """One command as its function declares it.

    Attributes:
        name: as it is typed. depth: 1 for the program. about: what it does.
        params: arguments, then options. below: (word, what it does) of the commands below it.
    """

    name: str
    depth: int
    about: str
    params: "tuple[Param, ...]"
    below: tuple[tuple[str, str], ...] = ()

    @property
    def usage(self) -> str:
        """How it is called."""
        options = " [OPTIONS]" if any(not param.is_argument for param in self.params) else ""
        arguments = "".join(f" {param.names[0]}" for param in self.params if param.is_argument)
        return f"{self.name}{options}{arguments}{' COMMAND' if self.below else ''}"


def pages(group: typer.Typer, name: str, *, depth: int = 1) -> Iterator[Page]:
    """A command with commands below it, and those, in the order of the program's tables."""
    commands = {
        info.name or _word(info.callback.__name__): info.callback for info in group.registered_commands
    }
    groups = {info.name: info.typer_instance for info in group.registered_groups}
    callbacks = commands | {word: inner.registered_callback.callback for word, inner in groups.items()}
    below = tuple((word, inspect.getdoc(callback) or "") for word, callback in callbacks.items())
    yield _page(group.registered_callback.callback, name, depth=depth, below=below)
    for word, callback in commands.items():
        yield _page(callback, f"{name} {word}", depth=depth + 1)
    for word, inner in groups.items():
        yield from pages(inner, f"{name} {word}", depth=depth + 1)


def _page(
    callback: Callable[..., Any], name: str, *, depth: int, below: tuple[tuple[str, str], ...] = ()
) -> Page:
    params = [
        Param.read(param)
        for param in inspect.signature(callback, eval_str=True).parameters.values()
        if get_origin(param.annotation) is Annotated
    ]
    params.sort(key=lambda param: not param.is_argument)
    return Page(name, depth, inspect.getdoc(callback) or "", tuple(params), below)


def command_line() -> str:
    """Every command with its arguments and options, read from the functions that the program declares."""
    shown = ["\n".join(_markdown(page)) for page in pages(app, "edge-agent")]
    return _NOTE + "\n\n".join(shown) + "\n"


def _markdown(page: Page) -> Iterator[str]:
    """The lines about one command: what it does, how it is called, what it takes, what is below it."""
    yield from (f"{'#' * page.depth} `{page.name}`", "", page.about, "")
    yield from ("```console", f"$ {page.usage}", "```")
    if page.params:
        yield from ("", "| argument or option | meaning |", "|---|---|")
    for param in page.params:
        yield f"| {', '.join(f'`{text}`' for text in param.names)} | {param.meaning} |"
    if page.below:
        yield from ("", "| command | what it does |", "|---|---|")
        yield from (f"| `{word}` | {about} |" for word, about in page.below)


@dataclass(frozen=True, slots=True)
class Param:
    """An argument or option as the pages show it."""

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
