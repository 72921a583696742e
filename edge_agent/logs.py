"""Logs: the only file that imports structlog, and does so without rich.

structlog draws tracebacks with rich where rich is installed, and imports all of it for that: 11 MB in an agent that
writes JSON lines. Tracebacks reach our renderers as text, so that nothing of it would ever be used.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def _as_if_absent(name: str) -> Iterator[None]:
    """Let an import of that package fail in here, as where it is not installed."""
    known = sys.modules.get(name)
    # None is how Python marks a package that cannot be imported.
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
        if known is not None:
            sys.modules[name] = known


with _as_if_absent("rich"):
    import structlog

get_logger = structlog.get_logger

_LONG_TEXTS = frozenset({"exception", "error"})
"""Of a log line: what may go over several lines."""


def printable(text: str, *, keep: str = "\n") -> str:
    """The text as a terminal may see it: what is no letter, digit, sign or blank is shown escaped, but for `keep`.

    What came over a network may hold escape sequences, C1 codes or marks that turn the direction of writing.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in keep else one.encode("unicode_escape").decode() for one in text
    )


def _printable_values(
    _logger: object, _name: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """The line with its texts as a terminal may see them."""
    for key, value in line.items():
        if isinstance(value, str) and not value.isprintable():
            line[key] = printable(value, keep="\n\t" if key in _LONG_TEXTS else "")
    return line


PRIORITIES: Mapping[str, int] = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""Levels as syslog(3) numbers them: what the journal reads from `<4>` before a line, so that `journalctl -p` works."""


def is_journal(stream: TextIO) -> bool:
    """Whether what is written there becomes lines of the journal: systemd names the file that it reads."""
    try:
        there = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM", "") == f"{there.st_dev}:{there.st_ino}"


def with_priority(text: str, level: str) -> str:
    """Each line with its level as the journal wants it told."""
    return "\n".join(f"<{PRIORITIES.get(level, PRIORITIES['info'])}>{line}" for line in text.split("\n"))


def _for_journal(render: structlog.typing.Processor) -> structlog.typing.Processor:
    """What writes a line down, with the line's level before it."""

    def written(logger: object, name: str, line: structlog.typing.EventDict) -> str:
        level = str(line.get("level", "info"))
        return with_priority(str(render(logger, name, line)), level)

    return written


def set_up_logs(*, level: str, form: str) -> None:
    """Logs to standard error: one JSON object a line, or coloured text; "auto" asks whether it is a terminal.

    Where standard error is the journal each line begins with its priority, which the journal takes off.
    """
    pretty = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if pretty
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    if is_journal(sys.stderr):
        renderer = _for_journal(renderer)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _printable_values,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


_EVERY_S = 60.0


class Throttle:
    """Lets one log line of each kind pass in a minute: a broken sensor must not fill the disk with logs."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._passed_s: dict[str, float] = {}
        self._kept_back: dict[str, int] = {}

    def passes(self, kind: str) -> bool:
        """Whether a line of that kind may be written now; counted where not."""
        now_s = self._monotonic()
        if now_s - self._passed_s.get(kind, -_EVERY_S) < _EVERY_S:
            self._kept_back[kind] = self._kept_back.get(kind, 0) + 1
            return False
        self._passed_s[kind] = now_s
        return True

    def kept_back(self, kind: str) -> int:
        """How many lines of that kind did not pass since the last that did; begins anew."""
        return self._kept_back.pop(kind, 0)
