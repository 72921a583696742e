"""What all tests share: models, recordings, and one rule for what may be skipped."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from tests.support import tiny

ROOT = Path(__file__).parents[1]
IN_CI = os.environ.get("CI", "").lower() in ("1", "true")

settings.register_profile("house", deadline=None)  # machines differ in speed
settings.load_profile("house")


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
        (pytest.fail if IN_CI else pytest.skip)(reason)
    return path
