"""The network's session: begun at once or when it is asked, tried where it can do no harm, and it answers the same."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_agent.config.file import Config
from edge_agent.errors import BundleError
from edge_agent.model import bundle as bundles
from edge_agent.model.isolated import in_a_copy
from edge_agent.model.session import ModelSession
from edge_agent.service.wiring import start_scorer

_SCRIPT = """
import sys
from pathlib import Path
from edge_agent.service.wiring import start_scorer
from edge_agent.config.file import Config
from edge_agent.model import bundle
import numpy as np
scorer = start_scorer(bundle.read(Path(sys.argv[1])), Config.model_validate({}), aside=True)
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
    early, late = (
        opened(bundle, provider="cpu") for opened in (ModelSession.open, ModelSession.open_when_asked)
    )
    assert early.started
    assert not late.started
    windows = np.random.default_rng(0).normal(size=(3, 2, 64)).astype(np.float32)
    place = np.zeros((3, 2), np.float32), np.ones((3, 2), np.float32)
    for one, other in zip(early.ask(windows, *place), late.ask(windows, *place), strict=True):
        np.testing.assert_array_equal(one, other)
    assert late.started


def test_a_model_that_answers_otherwise_is_refused_as_ever(tiny_bundle: Path) -> None:
    bundle = bundles.read(tiny_bundle)
    wrong = replace(bundle, golden=replace(bundle.golden, embedding=bundle.golden.embedding + 1))
    with pytest.raises(BundleError, match="golden embedding differs"):
        ModelSession.open_when_asked(wrong, provider="cpu")


def _die() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "not dead"


def test_a_model_that_the_runtime_dies_of_does_not_take_the_agent_along(tiny_bundle: Path) -> None:
    def attempt(_: Callable[[], str]) -> tuple[str | None, int]:
        return in_a_copy(_die)

    with pytest.raises(BundleError, match="dies of it, by signal 9"):
        ModelSession.open_when_asked(bundles.read(tiny_bundle), provider="cpu", attempt=attempt)


def test_on_an_accelerator_the_session_starts_at_once(tiny_bundle: Path) -> None:
    found = ModelSession.open_when_asked(bundles.read(tiny_bundle), attempt=lambda _: ("cuda", 0))
    assert found.started


@pytest.mark.parametrize(
    ("expecting", "page", "late"),
    [(None, False, True), (True, False, False), (None, True, False), (False, True, True)],
)
def test_only_where_nobody_asks_the_network_it_is_tried_in_a_copy(
    tiny_bundle: Path,
    expecting: bool | None,  # noqa: FBT001
    page: bool,  # noqa: FBT001
    late: bool,  # noqa: FBT001
) -> None:
    config = Config.model_validate({"page": {"enabled": page}})
    scorer = start_scorer(bundles.read(tiny_bundle), config, expecting=expecting, aside=True)
    assert scorer.session.started is not late
