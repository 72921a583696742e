"""Where Prometheus' programs are: skipped where a newcomer lacks them, a failure in CI."""

import os
import shutil

import pytest


def program(*names: str, package: str) -> str:
    """Path of the first that is installed."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        reason = f"no {names[0]}: apt install {package}"
        (pytest.fail if os.environ.get("CI", "").lower() in ("1", "true") else pytest.skip)(reason)
    return str(found)
