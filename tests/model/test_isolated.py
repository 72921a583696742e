"""What is tried in a copy of the process is answered here and leaves nothing behind; so is the model's first run."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_agent.config.file import Config
from edge_agent.detect.scorer import Scorer
from edge_agent.errors import BundleError
from edge_agent.model import bundle as bundles
from edge_agent.model.isolated import in_a_copy
from edge_agent.service.wiring import TimedScorer, start_scorer


def test_the_answer_comes_back_and_nothing_else() -> None:
    here = []

    def ask() -> str:
        here.append(True)
        return "four"

    before = len(list(Path("/proc/self/fd").iterdir()))
    assert in_a_copy(ask) == ("four", 0)
    assert here == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def _raise() -> str:
    raise ValueError("no")


def _die() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "not dead"


@pytest.mark.parametrize(("ask", "ended_by"), [(_raise, 0), (_die, signal.SIGKILL)])
def test_a_copy_that_fails_or_dies_gives_no_answer(ask: Callable[[], str], ended_by: int) -> None:
    assert in_a_copy(ask) == (None, ended_by)


_SCRIPT = """
import sys
from pathlib import Path
from edge_agent.service.wiring import start_scorer
from edge_agent.config.file import Config
from edge_agent.model import bundle
import numpy as np
scorer = start_scorer(bundle.read(Path(sys.argv[1])), Config.model_validate({}), ranking=False, aside=True)
print(scorer.provider, "onnxruntime" in sys.modules, end=" ")
scorer.encode(np.zeros((1, 2, 64), np.float32), np.zeros(2, np.float32), np.ones(2, np.float32))
print("onnxruntime" in sys.modules)
"""


def test_an_agent_whose_alarms_read_no_network_loads_no_runtime_until_it_is_asked(tiny_bundle: Path) -> None:
    command = [sys.executable, "-c", _SCRIPT, str(tiny_bundle)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert told.split() == ["cpu", "False", "True"]


def test_a_session_that_starts_late_says_what_an_early_one_says(tiny_bundle: Path) -> None:
    bundle = bundles.read(tiny_bundle)
    early, late = (Scorer.load(bundle, provider="cpu", aside=aside) for aside in (False, True))
    assert late._started is None
    windows = np.random.default_rng(0).normal(size=(3, 2, 64)).astype(np.float32)
    place = np.zeros(2, np.float32), np.ones(2, np.float32)
    one, other = early.encode(windows, *place), late.encode(windows, *place)
    np.testing.assert_array_equal(one.embedding, other.embedding)
    np.testing.assert_array_equal(one.reconstruction, other.reconstruction)


def test_a_model_that_answers_otherwise_is_refused_as_ever(tiny_bundle: Path) -> None:
    bundle = bundles.read(tiny_bundle)
    wrong = replace(bundle, golden=replace(bundle.golden, embedding=bundle.golden.embedding + 1))
    with pytest.raises(BundleError, match="golden embedding differs"):
        Scorer.load(wrong, provider="cpu", aside=True)


def test_a_model_that_the_runtime_dies_of_does_not_take_the_agent_along(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scorer, "_check_golden", lambda *_: _die())
    with pytest.raises(BundleError, match="dies of it, by signal 9"):
        Scorer.load(bundles.read(tiny_bundle), provider="cpu", aside=True)


def test_on_an_accelerator_the_session_starts_at_once(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.detect.scorer.in_a_copy", lambda _: ("cuda", 0))
    assert Scorer.load(bundles.read(tiny_bundle), aside=True)._started is not None


@pytest.mark.parametrize(
    ("ranking", "page", "labels", "aside"),
    [
        (False, False, (), True),
        (True, False, (), False),
        (False, True, (), False),
        (False, False, ("normal", "leak"), False),
    ],
)
def test_only_where_nobody_asks_the_network_it_is_tried_aside(
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    ranking: bool,  # noqa: FBT001
    page: bool,  # noqa: FBT001
    labels: tuple[str, ...],
    aside: bool,  # noqa: FBT001
) -> None:
    asked: dict[str, Any] = {}

    def load(bundle: bundles.Bundle, **how: Any) -> TimedScorer:
        asked.update(how)
        return TimedScorer(bundle, "cpu")

    monkeypatch.setattr(TimedScorer, "load", load)
    bundle = bundles.read(tiny_bundle)
    bundle = replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, labels=labels))
    config = Config.model_validate({"page": {"enabled": page}})
    start_scorer(bundle, config, ranking=ranking, aside=True)
    assert asked["aside"] is aside
