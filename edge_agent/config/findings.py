"""What is wrong with a configuration file, by setting and line. Reads no file."""

import re

from pydantic import ValidationError

_NO_SECTION = "is a section: a table of keys"
_WORDS = {
    "extra_forbidden": "is no setting",
    "unexpected_keyword_argument": "is no setting",
    "model_type": _NO_SECTION,
    "dataclass_type": _NO_SECTION,
}
"""pydantic's kinds of errors whose own words speak of our classes, in the words of who writes a file."""


def findings(error: ValidationError, text: str) -> tuple[tuple[str, str], ...]:
    """Each error as (dotted path and line, what is wrong); `text` is the file's."""
    return tuple(
        (
            located(item["loc"], text),
            _WORDS.get(item["type"]) or item["msg"].removeprefix("Value error, "),
        )
        for item in error.errors(include_url=False, include_context=False)
    )


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
    seen, inside, found = -1, len(location) == 1, None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("["):
            matches = header.match(line) is not None
            seen += matches
            inside = matches and seen == wanted
            found = number if inside else found
        elif inside and setting.match(line):
            return number
    return found
