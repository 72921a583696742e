"""Where a hall comes from: machines learnt once over the wire, then copied for every test."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.parts import hall
from tests.faults.parts.hall import Hall


@pytest.fixture(scope="session")
def learnt(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """A state directory with eight machines learnt."""
    return hall.learn(tmp_path_factory.mktemp("learnt"), bundle=tiny_bundle)


@pytest.fixture
def open_hall(tmp_path: Path, tiny_bundle: Path, learnt: Path) -> Iterator[Callable[..., Hall]]:
    """Enters a hall; it is left when the test ends. Keeps the agent's log where FAULTS_LOGS names a folder."""
    with ExitStack() as leaving:

        def enter(**options: Any) -> Hall:
            return leaving.enter_context(Hall(tmp_path, bundle=tiny_bundle, learnt=learnt, **options))

        yield enter
    if keep := os.environ.get("FAULTS_LOGS"):
        Path(keep).mkdir(parents=True, exist_ok=True)
        for log in tmp_path.glob("*.log"):
            shutil.copy(log, Path(keep) / f"{tmp_path.name}-{log.name}")
