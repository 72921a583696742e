"""Magnetic tiles: good ones are learnt, others and all faulty ones judged, each a part (`subject = "part"`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.metrics import f1_score

from benchmarks.pictures.looks import Look
from benchmarks.pictures.measures import aupro, auroc, interval
from edge_agent.diagnose.fault_naming import NamingSettings
from edge_agent.pipeline.cameras.inspection import excerpt, look_of
from edge_agent.pipeline.cameras.kinds import Kinds
from edge_agent.pipeline.cameras.learning import CameraMemory, CameraRequest, learn
from edge_agent.records import Float32

JUDGED_GOOD = 190
_NAMED, _DRAWS = (1, 5, 10), 5
_SIZE = 256


def measure(data: Path, look: Look, *, learnt: int, seed: int, faulty: int | None) -> Mapping[str, Any]:
    """Figures of one draw; `faulty` so many pictures with a fault, all where None."""
    with np.load(data / "magnetic_tile" / "magnetic_tile_128.npz") as file:
        images, labels, classes = file["images"], file["label"], file["classes"]
        masks = np.unpackbits(file["masks_packed"], axis=2).astype(np.bool_)
    rng = np.random.default_rng(seed)
    good = rng.permutation(np.flatnonzero(labels == 0))
    bad = rng.permutation(np.flatnonzero(labels > 0))[:faulty]
    memory = learn(_request(np.stack([_patches(images[at], look) for at in good[:learnt]])))
    judged = np.concatenate([good[-JUDGED_GOOD:], bad])
    seen = [_patches(images[at], look) for at in judged]
    maps = np.stack([memory.unusual(one) for one in seen])
    found = [look_of(excerpt(one, unusual)[0]) for one, unusual in zip(seen, maps, strict=True)]
    scores = np.array([memory.score(one, None) for one in maps])
    kinds = labels[judged]
    pairs = [(str(kind), one) for kind, one in zip(kinds, found, strict=True) if kind]
    calm = scores[kinds == 0].tolist()
    side = images.shape[1] // maps.shape[1]
    large = maps.repeat(side, axis=1).repeat(side, axis=2)
    return {
        "auroc": auroc(scores[kinds > 0].tolist(), calm),
        "interval": interval(scores[kinds > 0].tolist(), calm),
        "kinds": {
            str(classes[kind]).removeprefix("MT_").lower(): auroc(scores[kinds == kind].tolist(), calm)
            for kind in range(1, len(classes))
        },
        "named": {str(k): _named(memory, pairs, k) for k in _NAMED},
        "aupro": aupro(large, masks[judged]),
        "good above the threshold": float(np.mean(np.array(calm) >= 1.0)),
        "faulty above the threshold": float(np.mean(scores[kinds > 0] >= 1.0)),
    }


def _named(memory: CameraMemory, looks: list[tuple[str, Float32]], k: int) -> float:
    """Macro F1 of the kind that fits best, of what was not named, with k named pictures a kind; mean over draws."""
    found, truth = [], np.array([kind for kind, _ in looks])
    for draw in range(_DRAWS):
        rng, kinds = np.random.default_rng(draw), Kinds()
        taken = np.concatenate(
            [rng.permutation(np.flatnonzero(truth == one))[:k] for one in np.unique(truth)]
        )
        for at in taken:
            kinds.name(str(at), looks[at][0], looks[at][1], NamingSettings())
        kinds.arrange(memory.arrays)
        rest = np.setdiff1d(np.arange(len(looks)), taken)
        said = [kinds.nearest(looks[at][1])[0] for at in rest]
        found.append(f1_score(truth[rest], said, average="macro"))
    return float(np.mean(found))


def _patches(image: Any, look: Look) -> Float32:
    large = np.asarray(Image.fromarray(image).resize((_SIZE, _SIZE), Image.Resampling.BILINEAR), np.uint8)
    found: Float32 = look(np.repeat(large[np.newaxis, :, :, np.newaxis], 3, axis=3))[0]
    return found


def _request(patches: Float32) -> CameraRequest:
    count = len(patches)
    return CameraRequest(
        machine="line", camera="tile", network="", subject="part", patches=patches.astype(np.float16),
        gauges=np.zeros((count, 6), np.float32), times_ns=tuple(range(0, count * 10**9, 10**9)), counted=None,
        aspect=1.0, budget_per_week=1.0,
    )  # fmt: skip
