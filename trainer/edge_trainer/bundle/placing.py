"""A written bundle put where somebody wants it: a directory of a name of its own, replaced whole."""

import shutil
from pathlib import Path

from edge_agent.errors import TrainingError
from edge_agent.model import bundle


def place(written: Path, target: Path) -> Path:
    """Copy a bundle's files into the directory `target`, which is replaced whole.

    Raises:
        TrainingError: `target` exists and is no bundle, or cannot be written.
    """
    if target.exists() and any(target.iterdir()) and not (target / bundle.MANIFEST).exists():
        raise TrainingError(f"{target} exists and holds no bundle: not replaced")
    partial = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(written, partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)
    except OSError as error:
        raise TrainingError(f"{target}: cannot be written: {error.strerror}") from error
    return target
