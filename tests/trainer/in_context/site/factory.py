"""A small factory: recordings of a few machines, and a bundle with a judge that has learnt nothing."""

import shutil
from pathlib import Path

import numpy as np
import torch
from edge_trainer.in_context import bundled
from edge_trainer.in_context.export import to_onnx
from edge_trainer.in_context.network import JointJudge, JudgeNetwork

import edge_agent
from edge_agent.model.judge import N_DESCRIPTORS, WIDTHS

SHIPPED = Path(edge_agent.__file__).parent / "models" / "pretrained-small"
SIZES = {"channel_features": WIDTHS[0], "machine_features": WIDTHS[1]}


def recording(
    path: Path, *, rows: int = 1800, seed: int = 0, start_s: float | None = None, faulty: range = range(0)
) -> Path:
    """A CSV of white noise in two channels, a row a minute where it has times."""
    rng = np.random.default_rng(seed)
    stamped = start_s is not None
    lines = ["timestamp,level,flow,label" if stamped else "level,flow,label"]
    for row, (level, flow) in enumerate(rng.standard_normal((rows, 2))):
        time = f"{(start_s or 0.0) + 60.0 * row:.0f}," if stamped else ""
        lines.append(f"{time}{level:.4f},{flow:.4f},{int(row in faulty)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def factory(folder: Path, *, machines: int = 3) -> Path:
    for number in range(machines):
        recording(folder / f"press-{number}.csv", seed=number)
    return folder


def networks(count: int = 2) -> list[JudgeNetwork]:
    """Random weights, and scales that are not 1."""
    torch.manual_seed(1)
    made = [JudgeNetwork(**SIZES, hidden=8).eval() for _ in range(count)]
    for network in made:
        network.learn_scales(*(1.0 + 2.0 * torch.randn(50, size) for size in SIZES.values()))
    return made


def bundle_with_judge(target: Path, judges: list[JudgeNetwork]) -> Path:
    shutil.copytree(SHIPPED, target)
    joint = JointJudge(judges)
    known = {
        "descriptors": [0.0] * N_DESCRIPTORS,
        "descriptor_spread": [1.0] * N_DESCRIPTORS,
        "familiar": 100.0,
    }
    return bundled.put_into(
        target,
        to_onnx(joint, **SIZES),
        entry=bundled.entry_of(known, {"threshold": 1.0, "state_threshold": 0.5}),
        golden=bundled.golden_answers(joint, **SIZES),
        told={},
        scratch=target.with_name("scratch"),
    )
