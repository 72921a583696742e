"""Training: what can be told is learnt, the same from the same seed, and measured within each machine."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from edge_trainer.in_context import measures, training
from edge_trainer.in_context.training import Schedule

from edge_agent.errors import TrainingError
from tests.trainer.in_context.corpora import corpus

QUICK = Schedule(epochs=6, batch_windows=64, learning_rate=5e-3)


def trained(seed: int = 0) -> training.JudgeNetwork:
    return training.train(corpus(), QUICK, seed=seed, hidden=16, dropout=0.1, report=lambda _: None)


def test_a_judge_learns_faults_and_guilty_channels_on_other_machines() -> None:
    held_out = corpus(seed=9)
    random = training.untrained(held_out, seed=5, hidden=16, dropout=0.0).eval()
    columns = measures.table(
        held_out,
        {"trained": trained(), "random weights": random},
        groups={"pump": "plant", "slow": "slow"},
    )
    assert columns["trained"]["mean"] > 0.85
    assert columns["trained"]["mean"] > columns["random weights"]["mean"] + 0.2
    assert columns["trained"]["guilty channel first"] > 0.8
    assert {"slow", "pump", "all of group plant"} < columns["trained"].keys()
    assert "| slow |" in measures.as_markdown(columns)


def test_the_same_seed_gives_the_same_weights() -> None:
    once, again, other = trained(), trained(), trained(1)
    for left, right in zip(once.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)
    assert not torch.equal(next(once.parameters()), next(other.parameters()))


def test_windows_of_no_weight_teach_nothing() -> None:
    known = corpus()
    network = training.untrained(known, seed=0, hidden=8, dropout=0.0)
    few = np.arange(16)
    whole = training.batch_of(known, few, starts=known.starts)
    network(whole.channels, whole.machine, whole.present)
    weightless = replace(whole, weight=torch.zeros(16), guilty=whole.guilty)
    assert training.loss(network, whole) > training.loss(network, weightless) > 0


def test_a_batch_is_padded_with_absent_channels() -> None:
    known = corpus()
    windows = np.array([0, 41, 900])
    batch = training.batch_of(known, windows, starts=known.starts)
    assert batch.present.sum(dim=1).tolist() == known.counts[windows].tolist()
    at = known.starts[900]
    torch.testing.assert_close(batch.channels[2, 0], torch.from_numpy(known.channels[at].astype(np.float32)))
    assert not batch.guilty[~batch.present].any()


def test_judging_gives_each_window_its_own_logit() -> None:
    known, network = corpus(), trained()
    logit, channels = training.judged(network, known)
    alone = training.batch_of(known, np.array([77]), starts=known.starts)
    with torch.no_grad():
        one, ones = network(alone.channels, alone.machine, alone.present)
    assert logit[77] == pytest.approx(float(one), abs=1e-4)
    at = known.starts[77]
    np.testing.assert_allclose(channels[at : at + known.counts[77]], ones[0].numpy(), atol=1e-4)


def test_a_judge_is_kept(tmp_path: Path) -> None:
    network, path = trained(), tmp_path / "judge" / "seed-0.pt"
    training.save(network, path, {"machines": 30})
    again, facts = training.load(path)
    assert facts == {"machines": 30}
    known = corpus(machines=3)
    np.testing.assert_array_equal(training.judged(network, known)[0], training.judged(again, known)[0])
    with pytest.raises(TrainingError, match="holds no judge"):
        training.load(tmp_path / "missing.pt")


def test_too_little_to_learn_from() -> None:
    with pytest.raises(TrainingError, match="less than one batch"):
        training.train(corpus(machines=1), QUICK, seed=0, hidden=8, dropout=0.0, report=print)


def test_a_judge_goes_on_learning_from_where_it_is() -> None:
    start, elsewhere = trained(), corpus(seed=4, raised=-3.0)
    before = {name: value.clone() for name, value in start.state_dict().items()}
    network = training.train(
        elsewhere, QUICK, seed=3, hidden=99, dropout=0.0, report=lambda _: None, start=start
    )
    assert network.hidden == start.hidden
    for name, value in start.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    for name, scale in start.named_buffers():
        torch.testing.assert_close(dict(network.named_buffers())[name], scale, rtol=0, atol=0)
    held_out = corpus(seed=5, raised=-3.0)
    worth = [
        measures.mean_of(measures.by_family(held_out, training.judged(each, held_out)[0]))
        for each in (start, network)
    ]
    assert worth[1] > worth[0] + 0.2
