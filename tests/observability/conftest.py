"""One scene for all live tests, and the file of what was measured on it."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.observability.scene import LEARN_ROWS, MACHINE, Scene

RESULTS = os.environ.get("OBSERVABILITY_RESULTS")


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with ExitStack() as leaving:
        scene = Scene(tmp_path_factory.mktemp("watched"), leaving)
        scene.send(LEARN_ROWS)
        scene.learnt(MACHINE)
        scene.send(60)
        yield scene
    if RESULTS:
        told = {"rules": scene.measured, "panels": scene.panels}
        Path(RESULTS).write_text(json.dumps(told, indent=2) + "\n")
