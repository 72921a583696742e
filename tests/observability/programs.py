"""Where Prometheus' programs are: skipped where a newcomer lacks them, a failure in CI."""

import shutil

from tests.support.missing import missing


def program(*names: str, package: str) -> str:
    """Path of the first that is installed."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        reason = f"no {names[0]}: apt install {package}"
        missing(reason)
    return str(found)
