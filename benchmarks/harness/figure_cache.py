"""Figures that were measured before, kept in `benchmarks/.cache` until what decided them changes; judges nothing."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks import ROOT

CACHE = ROOT / "benchmarks/.cache"


def kept(parts: Iterable[str], measure: Callable[[], Any], *, folder: Path = CACHE) -> Any:
    """What `measure` gave for the same parts, now or before; anything that JSON holds."""
    name = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
    path = folder / f"{name}.json"
    if path.exists():
        return json.loads(path.read_text())
    figures = measure()
    folder.mkdir(parents=True, exist_ok=True)
    beginning = path.with_suffix(".part")
    beginning.write_text(json.dumps(figures))
    beginning.replace(path)
    return figures


def digest(files: Iterable[Path]) -> str:
    """Of the bytes of files, in this order."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
