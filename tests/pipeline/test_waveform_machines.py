"""A machine whose channels are features of waveforms is judged by statistics: no network has learnt from such."""

from pathlib import Path

import numpy as np
import pytest

from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.model.session import ModelSession
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Profile
from edge_agent.signals.vibration import feature_names
from tests.support.frames import SECOND
from tests.support.tiny import bundle as tiny_bundle
from tests.support.tiny_judge import TinyJudge

ROWS, WINDOW = 400, 128
FEATURES = feature_names("de", bearing=None, turning_hz=None)
SENSORS = tuple(f"sensor_{number}" for number in range(len(FEATURES)))


@pytest.fixture(scope="module")
def judging(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    folder: Path = tmp_path_factory.mktemp("bundle")
    raw = bundle.read(tiny_bundle(folder, rows=WINDOW, judge=TinyJudge()))
    return Scorer(ModelSession.open(raw, provider="cpu"), expecting=False)


def profile_of(channels: tuple[str, ...], scorer: Scorer) -> Profile:
    rows = np.random.default_rng(1).normal(size=(ROWS, len(channels))).astype(np.float32)
    request = CommissionRequest("m", channels, rows, SECOND, 1, ROWS * SECOND)
    return learn(request, scorer=scorer, settings=PipelineSettings())


def test_the_network_is_not_asked_where_most_channels_are_features_of_a_waveform(judging: Scorer) -> None:
    remembered = {
        name: any(array.startswith("in_context_") for array in profile_of(channels, judging).memory)
        for name, channels in {
            "features": FEATURES,
            "sensors": SENSORS,
            "one of them": (FEATURES[0], *SENSORS[1:]),
        }.items()
    }
    assert remembered == {"features": False, "sensors": True, "one of them": True}


def test_what_changed_in_a_waveform_lasts_as_long_as_the_statistics_say(judging: Scorer) -> None:
    memory = profile_of(FEATURES, judging).memory
    struck = np.full((1, len(FEATURES), WINDOW), 30.0, np.float32)
    struck += np.random.default_rng(2).normal(size=struck.shape).astype(np.float32)
    judged = ENSEMBLE.score(memory, struck, None, judge=judging.judge)
    by_statistics = ENSEMBLE.score(memory, struck, None)
    assert judged.value[0] == by_statistics.value[0] > 10
