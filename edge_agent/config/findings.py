"""What is wrong with a configuration file, by setting and line. Reads no file."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_NO_SECTION = "is a section: a table of keys"
_NO_SETTING = "is no setting"
_WORDS = {
    "extra_forbidden": _NO_SETTING,
    "unexpected_keyword_argument": _NO_SETTING,
    "model_type": _NO_SECTION,
    "dataclass_type": _NO_SECTION,
}
"""pydantic's kinds of errors whose own words speak of our classes, in the words of who writes a file."""

Fault = tuple[tuple[str, ...], str]
"""Settings of one section that do not fit together, the one to look at first, and what is wrong."""


class MisfitsError(ValueError):
    """All that does not fit together in one section; pydantic knows one error a check."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(what for _, what in faults))
        self.faults = tuple(faults)


def findings(error: ValidationError, text: str, *, whole: type[BaseModel]) -> tuple[tuple[str, str], ...]:
    """Each error as (dotted path and line, what is wrong).

    Args:
        error: all that is wrong.
        text: the file's.
        whole: the class of the file, which knows the names of all settings.
    """
    items = error.errors(include_url=False)
    # A list counts as short where all its items are wrong: what is wrong with them says enough.
    inside = {item["loc"][:1] for item in items if len(item["loc"]) > 1}
    return tuple(
        (located(location, text), what)
        for item in items
        if not (item["type"] == "too_short" and item["loc"] in inside)
        for location, what in _told(item, whole)
    )


def _told(item: ErrorDetails, whole: type[BaseModel]) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """(place, what is wrong) of one of pydantic's errors, which may hold several of ours."""
    for place, what, _ in spelt_out(item):
        yield place, what + (_meant(place, whole) if what == _NO_SETTING else "")


def spelt_out(item: ErrorDetails) -> Iterator[tuple[tuple[int | str, ...], str, frozenset[str]]]:
    """(place, what is wrong, settings that this depends on) of one of pydantic's errors."""
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, MisfitsError):
        yield from (((*item["loc"], keys[0]), what, frozenset(keys)) for keys, what in cause.faults)
        return
    yield item["loc"], _WORDS.get(item["type"]) or item["msg"].removeprefix("Value error, "), frozenset()


def meant(word: str, known: Iterable[str]) -> str:
    """What was probably meant, in words; "" where nothing that is known is like it."""
    near = get_close_matches(word, known, n=1, cutoff=0.7)
    return f"; did you mean '{near[0]}'?" if near else ""


def _meant(location: tuple[int | str, ...], whole: type) -> str:
    """The setting that was probably meant, in words; "" where none is like it."""
    *way, key = location
    section: type | None = whole
    for step in way:
        if isinstance(step, str) and section is not None:
            section = next(_classes(dict(_settings(section)).get(step)), None)
    known = [name for name, _ in _settings(section)] if section is not None else []
    return meant(str(key), known)


def _settings(section: type) -> Iterator[tuple[str, object]]:
    """(name, type) of each setting of a section."""
    if issubclass(section, BaseModel):
        yield from ((name, one.annotation) for name, one in section.model_fields.items())
    elif is_dataclass(section):
        yield from ((one.name, one.type) for one in fields(section))


def _classes(annotation: object) -> Iterator[type]:
    """The sections that stand in a type: `X`, `X | None`, `tuple[X, ...]`."""
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        yield annotation
    for inner in get_args(annotation):
        yield from _classes(inner)


def located(location: tuple[int | str, ...], text: str) -> str:
    """`section.key (line n)`; the line where the key, or else its section, is written."""
    parts = [str(part + 1) if isinstance(part, int) else part for part in location]
    line = _line_of(location, text)
    return ".".join(parts) + (f" (line {line})" if line else "")


def _line_of(location: tuple[int | str, ...], text: str) -> int | None:
    section, key = str(location[0]), str(location[-1])
    wanted = location[1] if len(location) > 1 and isinstance(location[1], int) else 0
    header = re.compile(rf"\s*\[\[?\s*{re.escape(section)}\s*\]\]?")
    setting = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
    below = re.compile(rf"\s*\[\[?\s*{re.escape(section)}\s*\.")
    table = re.compile(rf"\s*\[\[?\s*{re.escape(section)}\s*\.\s*{re.escape(key)}\s*\]")
    seen, inside, found = -1, len(location) == 1, None
    for number, line in enumerate(text.splitlines(), start=1):
        if below.match(line):  # a table of the section
            if inside and table.match(line):
                return number
            continue
        if line.lstrip().startswith("["):
            matches = header.match(line) is not None
            seen += matches
            inside = matches and seen == wanted
            found = number if inside else found
        elif inside and setting.match(line):
            return number
    return found
