"""The methods that are compared on a plant, one function each: the agent, other networks in it, and baselines.

Each learns the plant's first rows and judges the windows after them, every one by itself and earlier rows alone. Most
give scores, of which the product's trigger makes alarms; the whole pipeline makes its own.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.detection.baselines import BASELINES, Detector, in_normal_scales, with_own_limit
from benchmarks.detection.networks import AGENT, ALONE, LEFT_OUT, REPLACED, decides
from benchmarks.few_minutes.alarms import Alarms, Scored
from benchmarks.few_minutes.plants import HOP_ROWS, Plant
from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings.replay import commission_recording, replay
from edge_agent.recordings.tables import Recording
from edge_agent.records import WindowBlock
from edge_agent.signals.settings import WindowSettings

REPLAYED = f"{AGENT}, whole pipeline"
SETTINGS = PipelineSettings(window=WindowSettings(hop_s=float(HOP_ROWS)))
_BASELINES = ("PCA T2 + SPE", "k-means on z-scored windows")
_NAME = "plant"
_SECOND_NS = 1_000_000_000
_CHUNK_WINDOWS = 512

Method = Callable[[Plant], Scored | Alarms]


def methods(scorer: Scorer, *, left_out: Scorer | None = None) -> dict[str, Sequence[Method]]:
    """Name -> draws of the method, the agent first; `left_out` holds a network that never saw the plant's kind."""
    found: dict[str, Sequence[Method]] = {AGENT: [agent(scorer)], REPLAYED: [replayed(scorer)]}
    if left_out is not None:
        found[LEFT_OUT] = [agent(left_out)]
    if decides(scorer):
        found |= {name: [agent(make(scorer)) for make in draws] for name, draws in REPLACED.items()}
        found[ALONE] = [trained_alone(scorer)]
    return found | {name: [baseline(BASELINES[name])] for name in _BASELINES}


def on_gateway(scorer: Scorer) -> Scorer:
    """The same model as a service asks it: for alarms, not for a picture."""
    return Scorer(scorer.session, expecting=False)


def agent(scorer: Scorer) -> Callable[[Plant], Scored]:
    """The agent's learning and scores, thresholds of its own."""

    def run(plant: Plant) -> Scored:
        learnt = plant.spec.learnt_rows
        request = CommissionRequest(
            _NAME, plant.channels, plant.rows[:learnt], _SECOND_NS, HOP_ROWS, learnt * _SECOND_NS
        )
        profile = learn(request, scorer=scorer, settings=SETTINGS)
        columns = [plant.channels.index(name) for name in profile.channels]
        windows = sliding_window_view(plant.rows[:, columns], scorer.window_rows, axis=0)
        parts = []
        for at in range(0, len(plant.ends), _CHUNK_WINDOWS):
            ends = plant.ends[at : at + _CHUNK_WINDOWS]
            values = np.ascontiguousarray(windows[ends - scorer.window_rows])
            block = WindowBlock(_NAME, values, end_rows=ends - 1, times_ns=ends * _SECOND_NS)
            parts += scorer.score([block], [profile])
        shares = np.zeros((len(plant.ends), len(plant.channels)), np.float32)
        shares[:, columns] = np.concatenate([part.contributions for part in parts])
        value, recent = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("value", "recent")
        )
        return Scored(value, recent, shares)

    return run


def trained_alone(scorer: Scorer, *, seed: int = 0) -> Method:
    """The agent with a network that learnt from this plant's calm rows alone, with faults injected into them."""

    def run(plant: Plant) -> Scored:
        from benchmarks.few_minutes.own_network import with_own_judge  # noqa: PLC0415 - it needs torch

        return agent(with_own_judge(scorer, plant.rows[: plant.spec.learnt_rows], seed=seed))(plant)

    return run


def replayed(scorer: Scorer) -> Method:
    """All that ships: sensors under suspicion hidden, thresholds that follow, notices."""

    def run(plant: Plant) -> Alarms:
        times = np.arange(len(plant.rows), dtype=np.int64) * _SECOND_NS
        recording = Recording(_NAME, plant.channels, times, plant.rows, None)
        profile = commission_recording(
            recording, rows=plant.spec.learnt_rows, scorer=scorer, settings=SETTINGS
        )
        played = replay(recording, scorer=scorer, settings=SETTINGS, profile=profile)
        raised, guilty = [], []
        for alarm in played.alarms:
            at = int(np.searchsorted(plant.ends, alarm.time_ns // _SECOND_NS + 1))
            if alarm.revision == 1 and alarm.onset_ns >= plant.spec.learnt_rows * _SECOND_NS:
                raised.append(at)
                guilty.append(plant.channels.index(alarm.channels[0].name) if alarm.channels else -1)
        return Alarms(played.alarm[plant.ends - 1], np.array(raised, np.int64), np.array(guilty, np.int64))

    return run


def baseline(make: Callable[[], Detector]) -> Method:
    """A baseline on the same rows in normal scales, at its own limit."""

    def run(plant: Plant) -> Scored:
        learnt = plant.spec.learnt_rows
        score, limit = with_own_limit(make, in_normal_scales(plant.rows, learnt), normal_rows=learnt)
        value = score[plant.ends - 1] / limit
        return Scored(value, value, None)

    return run
