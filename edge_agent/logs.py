"""Logs: the only room that imports structlog, and does so without rich.

structlog draws tracebacks with rich where rich is installed, and imports all of it for that: 11 MB in an agent that
writes JSON lines. Tracebacks reach our renderers as text, so that nothing of it would ever be used.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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


def set_up_logs(*, level: str, form: str) -> None:
    """Logs to standard error: one JSON object a line, or coloured text; "auto" asks whether it is a terminal."""
    pretty = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if pretty
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
