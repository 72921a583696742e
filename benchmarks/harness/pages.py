"""Pages from templates and the JSON files that measurements left in a folder. Measures nothing.

A template is the page with holes in it. What was not measured reads so in its hole, spoils what is reckoned with it,
and makes no goal met or missed.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import ChainableUndefined, Environment, FileSystemLoader

GAP = "not measured"
_VERDICTS = {True: "**met**", False: "missed", None: ""}


class NotMeasured(ChainableUndefined):
    """A figure that is in no file: prints as a gap; sums with it are not measured either, comparisons undecided."""

    def __str__(self) -> str:
        return GAP

    def __format__(self, _: str) -> str:
        return GAP

    def _same(self, _: object) -> "NotMeasured":
        return self

    def _undecided(self, _: object) -> None:
        return None

    __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _same  # type: ignore[assignment]
    __lt__ = __le__ = __gt__ = __ge__ = _undecided  # type: ignore[assignment]


def render(
    template: Path,
    results: Path,
    *,
    reports: Iterable[str],
    helpers: Mapping[str, Any],
    filters: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """The page of a template.

    Args:
        template: Markdown with holes for jinja2.
        results: folder of the JSON files.
        reports: their names, by which the template knows them; those that are absent are not measured.
        helpers: functions and tables that the template uses.
        filters: functions that it uses behind a bar.
    """
    pages = Environment(  # noqa: S701 - Markdown of our own, no HTML
        loader=FileSystemLoader(template.parent),
        undefined=NotMeasured,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters |= {"verdict": _VERDICTS.get, **filters}
    found = {name: _read(results / f"{name}.json") for name in reports}
    return pages.get_template(template.name).render(**found, **helpers, reports=found)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found
