"""JSON to columns of text: a list of rows, a row a line, or a home automation's history. Knows no channel.

A history is a list of states a thing, of which only the first may say whose they are; a row's values may lie in an
object of their own.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_agent.errors import RecordingError
from edge_agent.recordings.reading.header import TextTable

_DEEPEST = 3
_MOST_COLUMNS = 20_000


def table_of(path: Path, text: str, notes: list[str]) -> TextTable:
    """The table that a file of JSON holds.

    Raises:
        RecordingError: it is no JSON, or holds no rows.
    """
    rows = list(_rows(path, text))
    if not rows:
        raise RecordingError(path, "has no rows")
    columns: dict[str, list[str]] = {}
    for at, row in enumerate(rows):
        for name, value in row.items():
            cells = columns.setdefault(name, [])
            cells += [""] * (at - len(cells))
            cells.append(_cell(value))
        if len(columns) > _MOST_COLUMNS:
            raise RecordingError(path, f"has more than {_MOST_COLUMNS} keys")
    for cells in columns.values():
        cells.extend([""] * (len(rows) - len(cells)))
    notes.append("rows of JSON")
    return TextTable(columns, len(rows), notes)


def _rows(path: Path, text: str) -> Iterator[dict[str, Any]]:
    for one in _flat(_documents(path, text)):
        row: dict[str, Any] = {}
        _spread(one, row, prefix="", depth=0)
        yield row


def _documents(path: Path, text: str) -> list[Any]:
    """All there is, of one document or of a document a line."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as whole:
        try:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            raise RecordingError(path, f"not JSON: {whole}") from whole
    if isinstance(found, dict):  # an answer around its rows
        lists = {key: value for key, value in found.items() if isinstance(value, list) and value}
        inner = [value for value in lists.values() if isinstance(value[0], dict)]
        if len(inner) == 1 and "s" not in inner[0][0]:
            return inner[0]
        if found and len(lists) == len(found):
            return _by_thing(lists)
    return found if isinstance(found, list) else [found]


def _by_thing(found: Mapping[str, Any]) -> list[Any]:
    """`{thing: [state, …]}`: each state with its thing's name; `{column: [cell, …]}`: rows."""
    if all(value and isinstance(value[0], dict) for value in found.values()):
        return [{"entity_id": name, **_short(one)} for name, states in found.items() for one in states]
    lengths = {len(value) for value in found.values()}
    if len(lengths) != 1:
        return []
    return [dict(zip(found, cells, strict=True)) for cells in zip(*found.values(), strict=True)]


def _flat(documents: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    """Rows; those of a list within the list belong to the thing that its first one names."""
    for one in documents:
        if isinstance(one, list):
            thing: dict[str, Any] = {}
            for state in one:
                if isinstance(state, dict):
                    short = _short(state)
                    thing = {"entity_id": short["entity_id"]} if "entity_id" in short else thing
                    yield {**thing, **short}
        elif isinstance(one, dict):
            yield _short(one)


def _short(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """A state of a history without what only describes it, and with its time by the name of the long form."""
    if (
        "state" not in state and "s" in state and ("lu" in state or "lc" in state)
    ):  # the history in its short form
        return {"state": state["s"], "last_changed": state.get("lc", state.get("lu"))}
    if "entity_id" not in state and not ("state" in state and "last_changed" in state):
        return state
    return {
        name: value
        for name, value in state.items()
        if name not in ("attributes", "context", "last_reported", "last_updated")
    } | ({} if "last_changed" in state else {"last_changed": state.get("last_updated")})


def _spread(one: Mapping[str, Any], row: dict[str, Any], *, prefix: str, depth: int) -> None:
    for key, value in one.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and depth < _DEEPEST:
            _spread(
                value,
                row,
                prefix="" if key in ("values", "fields", "data") and not prefix else f"{name}/",
                depth=depth + 1,
            )
        elif not isinstance(value, list | dict):
            row[name] = value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value).strip() if not isinstance(value, bool) else ("true" if value else "false")
