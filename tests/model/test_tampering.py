"""A bundle that was touched is refused with a reason, before onnxruntime has seen a byte of it.

The long form: `EDGE_AGENT_TAMPERED=10000 python -m pytest tests/model/test_tampering.py`.
"""

import os
import resource
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edge_agent.config.file import Config
from edge_agent.errors import BundleError
from edge_agent.model.rollback import Counters
from edge_agent.service.wiring import load_scorer
from tests.support import tampering

COUNT = int(os.environ.get("EDGE_AGENT_TAMPERED", "300"))


@pytest.fixture
def good(tiny_bundle: Path, tmp_path: Path) -> Path:
    return tampering.sign(shutil.copytree(tiny_bundle, tmp_path / "good"))


@pytest.fixture
def config(good: Path, tmp_path: Path) -> Config:
    """An agent that trusts one key and has run the good bundle."""
    key = tampering.public_key(tmp_path / "key.pub")
    settings = {"bundle": good, "trusted_keys": [key], "expired": "refuse"}
    config = Config.model_validate({"agent": {"state_dir": tmp_path}, "model": settings})
    counters = Counters(tmp_path)
    counters.remember(load_scorer(config, counters=counters).bundle)
    return config


@pytest.mark.timeout(3600)
def test_every_tampered_bundle_is_refused_before_the_runtime_sees_it(
    good: Path,
    config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    counters = Counters(tmp_path)

    def seen(*_: object, **__: object) -> None:
        pytest.fail("onnxruntime was given a tampered model")

    monkeypatch.setattr(onnxruntime, "InferenceSession", seen)
    before_files = len(list(Path("/proc/self/fd").iterdir()))
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused: Counter[str] = Counter()
    for seed in range(COUNT):
        rng = np.random.default_rng(seed)
        spoil = tampering.WAYS[seed % len(tampering.WAYS)]
        path = shutil.copytree(good, tmp_path / "spoilt")
        spoil(path, rng)
        tried = config.model_copy(update={"model": config.model.model_copy(update={"bundle": path})})
        try:
            with pytest.raises(BundleError) as caught:
                load_scorer(tried, counters=counters)
        except pytest.fail.Exception as failure:
            raise AssertionError(f"seed {seed}, {spoil.__name__}: {failure}") from failure
        assert caught.value.reason, spoil.__name__
        refused[spoil.__name__] += 1
        shutil.rmtree(path)
    assert refused.total() == COUNT
    assert set(refused) == {spoil.__name__ for spoil in tampering.WAYS}
    assert len(list(Path("/proc/self/fd").iterdir())) == before_files, "a refused bundle stays open"
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024
    assert grown_mib < 300, "a claim was believed"  # the largest file written here has 70 MiB before packing
    record_property("faults", refused.total())
    record_property("kinds", len(refused))


def test_the_good_bundle_is_taken_again_and_again(good: Path, config: Config, tmp_path: Path) -> None:
    for _ in range(2):
        bundle = load_scorer(config, counters=Counters(tmp_path)).bundle
        assert bundle.signed_by is not None
        assert bundle.release is not None
        assert bundle.release.counter == tampering.COUNTER
        assert bundle.path == good
