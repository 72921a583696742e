"""A judge beside the encoder in a bundle: its graph, golden answers, thresholds, and what machines it knows.

The bundle that it is put into stays what it was but for this; a signature on it no longer holds and is left out, to be
signed anew.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn

from edge_agent.detect.context_features import DESCRIPTORS
from edge_agent.errors import TrainingError
from edge_agent.model import bundle
from edge_agent.model import judge as judges
from edge_agent.model.arrays import encode_arrays
from edge_agent.model.judge import JudgeEntry, JudgeGolden
from edge_trainer.bundle.export import LARGEST_BYTES
from edge_trainer.bundle.placing import place
from edge_trainer.in_context.corpus import Corpus
from edge_trainer.in_context.look import VERSION
from edge_trainer.in_context.machines.recordings import ATTRIBUTION

_FAMILIAR_SHARE = 0.99
"""Of the machines that were learnt from, which are familiar: beyond, the judge is not heard."""
_LEAST_SPREAD = 0.05
_GOLDEN_WINDOWS, _GOLDEN_CHANNELS = 24, 6
_SECTION = "\n## The judge\n\n"


def familiar_machines(corpus: Corpus) -> dict[str, Any]:
    """What the machines of a corpus are like, by their descriptors, so that unlike ones are told from them."""
    first = np.unique(corpus.episode, return_index=True)[1]
    told = corpus.machine[first][:, DESCRIPTORS].astype(np.float64)  # N D
    mean, spread = told.mean(axis=0), told.std(axis=0) + _LEAST_SPREAD
    strange = np.abs((told - mean) / spread).mean(axis=1)
    return {
        "descriptors": np.round(mean, 4).tolist(),
        "descriptor_spread": np.round(spread, 4).tolist(),
        "familiar": round(float(np.quantile(strange, _FAMILIAR_SHARE)), 4),
    }


def entry_of(known: Mapping[str, Any], thresholds: Mapping[str, Any]) -> JudgeEntry:
    """What the manifest says of a judge: the machines that are familiar to it, and its thresholds."""
    return JudgeEntry(
        features=VERSION,
        threshold=float(thresholds["threshold"]),
        few_rows_threshold=float(thresholds.get("few_rows_threshold", thresholds["threshold"])),
        state_threshold=float(thresholds["state_threshold"]),
        descriptors=tuple(known["descriptors"]),
        descriptor_spread=tuple(known["descriptor_spread"]),
        familiar=known["familiar"],
    )


def golden_answers(
    judge: nn.Module, *, channel_features: int, machine_features: int, seed: int = 0
) -> JudgeGolden:
    """Windows from near to far outside of what was learnt, with absent channels, and what torch answers."""
    rng = np.random.default_rng(seed)
    B, C = _GOLDEN_WINDOWS, _GOLDEN_CHANNELS
    size = np.geomspace(0.1, 100.0, B)
    channels = (rng.standard_normal((B, C, channel_features)) * size[:, None, None]).astype(np.float32)
    machine = (rng.standard_normal((B, machine_features)) * size[:, None]).astype(np.float32)
    present = rng.random((B, C)) < 0.7
    present[:, 0] = True
    with torch.no_grad():
        logit, logits = judge(
            torch.from_numpy(channels), torch.from_numpy(machine), torch.from_numpy(present)
        )
    return JudgeGolden(channels, machine, present, logit.numpy(), logits.numpy())


def put_into(
    target: Path,
    raw: bytes,
    *,
    entry: JudgeEntry,
    golden: JudgeGolden,
    told: Mapping[str, Any],
    scratch: Path,
) -> Path:
    """Put a judge into the bundle in `target`, in the place of any that it has.

    Args:
        target: directory of the bundle; replaced whole.
        raw: the judge's graph.
        entry: what the manifest says of it.
        golden: what torch answers.
        told: figures for the card and the manifest.
        scratch: directory that is written in before.

    Raises:
        BundleError: there is no bundle, or it is broken. TrainingError: it would be too large.
    """
    known = bundle.read(target)
    contents = {name: (target / name).read_bytes() for name in known.manifest.files}
    contents |= {judges.MODEL: raw, judges.GOLDEN: encode_arrays(golden._asdict())}
    contents[bundle.CARD] = _card(known.card, told).encode()
    if (size := sum(map(len, contents.values()))) > LARGEST_BYTES:
        raise TrainingError(f"the bundle would have {size} bytes, the limit is {LARGEST_BYTES}")
    manifest = msgspec.structs.replace(
        known.manifest,
        judge=entry,
        release=msgspec.UNSET,
        measures={**known.manifest.measures, "judge": told},
    )
    shutil.rmtree(scratch, ignore_errors=True)
    written = bundle.write(scratch, manifest, contents)
    bundle.read(written)
    return place(written, target)


def _card(card: str, told: Mapping[str, Any]) -> str:
    """The card with a section on the judge at its end."""
    plain = {name: value for name, value in told.items() if isinstance(value, int | float)}
    figures = "\n".join(f"| {name} | {value:g} |" for name, value in plain.items())
    named = "\n".join(f"- {name}: {whom}" for name, whom in sorted(ATTRIBUTION.items()))
    return (
        f"{card.partition(_SECTION)[0].rstrip()}\n{_SECTION}"
        "`judge.onnx` says of a window whether it is faulty, from how it differs from the machine's own calm windows. "
        "It learnt from simulated machines, from generated signals, and from calm parts of the recordings below, with "
        "faults injected into all of them.\n\n"
        f"| measured on machines that it never saw | value |\n|---|---|\n{figures}\n\n"
        f"Recordings that machines were made of, to be named where the model is passed on:\n\n{named}\n"
    )
