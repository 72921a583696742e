"""What all tests share: models, recordings, and one rule for what may be skipped."""

import logging
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from benchmarks.harness.patience import MissingProgramError
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from tests.support import tiny
from tests.support.missing import IN_CI, missing

ROOT = Path(__file__).parents[1]

# Machines differ in speed and load: no property fails for the time that it took, or that its examples took to make.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# CI tries the same examples every time, so that a red run is the fault of what changed.
settings.register_profile("ci", settings.get_profile("house"), derandomize=True, database=None)
settings.load_profile("ci" if IN_CI else "house")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """What needs a program that is missing is skipped with the way to install it, and fails in CI."""
    try:
        return (yield)
    except MissingProgramError as error:
        missing(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """As before: where the test itself starts the program."""
    try:
        return (yield)
    except MissingProgramError as error:
        missing(str(error))


@pytest.fixture(autouse=True)
def logs_as_they_come() -> Iterator[None]:
    """Logging is the process's: what a test, or a program that it called, set up must not silence the next one."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture
def quiet_logs() -> None:
    """Nothing but what is critical is logged."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A verified bundle that costs milliseconds: see `tests.support.tiny`."""
    return tiny.bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def scorer() -> Scorer:
    """The shipped model."""
    return Scorer.load(bundle.read(ROOT / "edge_agent/models/pretrained"), provider="cpu")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of shared recordings: skipped where a newcomer lacks it, a failure in CI."""
    path = Path(os.environ.get("EDGE_AGENT_DATA", ROOT.parent / "shared/data"))
    if not (path / "README.md").is_file():
        reason = f"no recordings at {path}; set EDGE_AGENT_DATA to their folder"
        missing(reason)
    return path
