"""Models that never saw a kind: made by a command, found by their kinds, and shown as a row of their own."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_trainer import config
from edge_trainer.in_context import corpus, fresh, stages
from edge_trainer.in_context.machines import families

from benchmarks.few_minutes import left_out
from benchmarks.few_minutes.own_network import own_judge
from edge_agent.model import bundle
from simulator import KINDS
from tests.trainer.in_context.corpora import PoolInThisProcess, toy_family

SETTINGS = """
[judge]
episodes = 8
held_out_episodes = 4
shard_episodes = 4
windows = 48
batch_windows = 16
hidden = 8
seeds = 1
fresh_machines = 2
calm_share = 1.0
quiet = 0.0
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """A corpus of machines that are all called by kinds of plants, and what would be said on the command line."""
    kinds = tuple(replace(toy_family(), name=kind, share=1.0) for kind in KINDS)
    monkeypatch.setattr(families, "_simulated", lambda: kinds)
    for module in (corpus, fresh):
        monkeypatch.setattr(module, "ProcessPoolExecutor", PoolInThisProcess)
    path = tmp_path / "judge.toml"
    path.write_text(SETTINGS)
    monkeypatch.setattr(left_out, "_CONFIG", path)
    folder = tmp_path / "corpus"
    stages.make_corpus(config.load(path, [("judge.corpus", folder)]), lambda _: None)
    return argparse.Namespace(
        corpus=folder, data=None, out=tmp_path / "out", jobs=1, fresh_machines=None, seeds=None
    )


def test_a_bundle_is_made_without_each_of_a_parts_kinds(asked: argparse.Namespace) -> None:
    assert left_out.models(asked.out) == {}
    made = left_out.make("b", asked)
    assert bundle.read(made).judge is not None
    assert left_out.models(asked.out) == dict.fromkeys(left_out.PARTS["b"], made)
    again = left_out.make("b", asked)
    assert again == made


def test_a_judge_learns_from_one_machine_alone_or_from_nothing() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((600, 2)).astype(np.float32)
    assert own_judge(rows[:240], seed=0, n_episodes=2) is None
    graph = own_judge(rows, seed=0, n_episodes=8)
    assert graph is not None
    assert len(graph) > 10_000
