"""Generated parts: suspects among good and faulty ones by the product's own threshold, and what they are called.

Five surfaces, of which the first 50 good parts are learnt; others, and thirty of each fault, are judged. Names: one
picture of each of four faults is named (or more), the others are to be called so; of the fifth fault none was named.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.pictures.looks import Look
from benchmarks.pictures.measures import auroc
from edge_agent.diagnose.fault_naming import NamingSettings
from edge_agent.pipeline.cameras.inspection import excerpt, look_of
from edge_agent.pipeline.cameras.kinds import Kinds
from edge_agent.pipeline.cameras.learning import CameraMemory, CameraRequest, learn
from edge_agent.records import Float32
from simulator.parts import FAULTS, SURFACES, part

LEARNT, GOOD, FAULTY = 50, 100, 20
NAMED = (1, 5)
_FIRST = 5_000
"""Number of the first part: none was seen while anything was chosen."""
_DRAWS = 5
_BATCH = 10

Faulty = dict[str, list[tuple[float, Float32]]]


def measure(look: Look) -> Mapping[str, Any]:
    """Figures by surface, with those of all surfaces together under "all"."""
    found = {surface: _surface(surface, look) for surface in SURFACES}
    names = found["mixed"].keys()
    return found | {"all": {name: float(np.mean([one[name] for one in found.values()])) for name in names}}


def _surface(surface: str, look: Look) -> dict[str, float]:
    patches = _patches(surface, "", LEARNT, look)
    memory = learn(
        CameraRequest(
            machine="line", camera="table", network="", subject="part", patches=patches.astype(np.float16),
            gauges=np.zeros((LEARNT, 6), np.float32), times_ns=tuple(n * 10**9 for n in range(LEARNT)),
            counted=None, aspect=1.0, budget_per_week=1.0,
        )
    )  # fmt: skip
    good = [_judged(memory, one)[0] for one in _patches(surface, "", GOOD, look, after=LEARNT)]
    faulty = {
        fault: [_judged(memory, one) for one in _patches(surface, fault, FAULTY, look, after=1000)]
        for fault in FAULTS
    }
    scores = [score for judged in faulty.values() for score, _ in judged]
    return {
        "auroc": auroc(scores, good),
        "good above": float(np.mean(np.array(good) >= 1.0)),
        "faulty above": float(np.mean(np.array(scores) >= 1.0)),
        **_names(memory, faulty),
    }


def _patches(surface: str, fault: str, count: int, look: Look, *, after: int = 0) -> Float32:
    numbers = [_FIRST + after + number for number in range(count)]
    found = [
        look(np.stack([part(surface, number, fault) for number in numbers[at : at + _BATCH]]))
        for at in range(0, count, _BATCH)
    ]
    return np.concatenate(found)


def _judged(memory: CameraMemory, patches: Float32) -> tuple[float, Float32]:
    unusual = memory.unusual(patches)
    return memory.score(unusual, None), look_of(excerpt(patches, unusual)[0])


def _names(memory: CameraMemory, faulty: Faulty) -> dict[str, float]:
    """Of suspects with k named pictures a fault: how many are named, how many rightly, and of a fifth fault."""
    found: dict[str, float] = {}
    suspects = {fault: [look for score, look in judged if score >= 1.0] for fault, judged in faulty.items()}
    for k in NAMED:
        named = right = others = strange = strangers = 0
        for draw in range(_DRAWS):
            rng, unknown = np.random.default_rng(draw), FAULTS[draw]
            kinds, rest = Kinds(), {}
            for fault, looks in suspects.items():
                order = rng.permutation(len(looks))
                taken = order[:k] if fault != unknown else order[:0]
                for at in taken:
                    kinds.name(f"{fault}-{at}", fault, looks[at], NamingSettings())
                rest[fault] = [looks[at] for at in order[len(taken) :]]
            kinds.arrange(memory.arrays)
            for fault, looks in rest.items():
                told = [kinds.of(look)[0] for look in looks]
                if fault == unknown:
                    strange += sum(name != "" for name in told)
                    strangers += len(told)
                else:
                    named += sum(name != "" for name in told)
                    right += sum(name == fault for name in told)
                    others += len(told)
        found |= {
            f"named of {k}": named / max(others, 1),
            f"rightly of {k}": right / max(named, 1),
            f"strangers named of {k}": strange / max(strangers, 1),
        }
    return found
