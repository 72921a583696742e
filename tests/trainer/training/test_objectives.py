"""Every objective is non-zero on a bad case, its gradient moves the weights, and chance is repeatable."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from edge_trainer.data.windows import as_batch
from edge_trainer.network.network import Network, Output, normalise
from edge_trainer.training.objectives import (
    AdversarialEmbedding,
    Batch,
    Estrangement,
    Imitation,
    InjectedRows,
    MaskedReconstruction,
    NearTriplet,
    Objective,
    Weighted,
)
from edge_trainer.training.objectives.adversarial import Discriminator
from edge_trainer.training.objectives.estrangement import spoiled, to_nearest
from edge_trainer.training.objectives.injected import RowHead
from torch import nn

OBJECTIVES: dict[str, Objective] = {
    "reconstruction": MaskedReconstruction(),
    "triplet": NearTriplet(),
    "estrangement": Estrangement(),
    "weighted": Weighted({"a": (1.0, MaskedReconstruction()), "b": (0.5, NearTriplet())}),
}


def model() -> Network:
    torch.manual_seed(1)
    return Network(architecture="conv", window_rows=64, embedding_dim=20)


def batch(count: int = 24) -> Batch:
    rng = np.random.default_rng(0)
    steps = np.arange(66) * rng.uniform(0.05, 1.0, (count, 1)) + rng.uniform(0, 6, (count, 1))
    signal = (np.sin(steps) + 0.05 * rng.standard_normal(steps.shape)).astype(np.float32)
    given = as_batch(
        signal[:, :64], signal[:, 2:], location=np.zeros(count, np.float32), scale=np.ones(count, np.float32)
    )
    phases = rng.uniform(0, 6, (count, 6, 1))
    memory = torch.from_numpy(np.sin(steps[:, None, :64] + phases).astype(np.float32))
    return replace(given, memory=memory, memory_present=torch.ones_like(memory))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_loss_of_an_untrained_network_is_positive_and_its_gradient_reaches_the_encoder(name: str) -> None:
    network = model()
    loss, _ = OBJECTIVES[name].loss(network, batch(), np.random.default_rng(0))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() > 1e-3
    gradients = [parameter.grad for parameter in network.encoder.parameters()]
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_steps_against_the_gradient_lower_the_loss(name: str) -> None:
    network, given = model(), batch()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss, _ = OBJECTIVES[name].loss(network, given, np.random.default_rng(0))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_same_generator_gives_the_same_loss_and_another_one_does_not() -> None:
    network, objective = model().eval(), MaskedReconstruction()
    first, again, other = (
        objective.loss(network, batch(), np.random.default_rng(seed))[0].item() for seed in (0, 0, 1)
    )
    assert first == again != other


def test_hidden_share_is_kept_and_no_window_is_hidden_whole() -> None:
    objective = MaskedReconstruction(hidden_share=0.4)
    hidden = objective.hide(torch.ones(500, 1, 128), np.random.default_rng(0)).numpy()
    share = hidden.mean(axis=(1, 2))
    assert share.max() <= 0.4
    assert 0.05 < share.mean() < 0.3
    assert (share == 0).any()  # some windows stay whole: at the agent most are


def test_hidden_rows_come_in_runs() -> None:
    hidden = MaskedReconstruction().hide(torch.ones(200, 1, 128), np.random.default_rng(0)).numpy()[:, 0]
    starts = (np.diff(hidden, axis=1, prepend=0) > 0).sum()
    assert hidden.sum() / starts > 4


class _Constant(nn.Module):
    """Answers every window alike: the collapse that a triplet loss must punish."""

    def forward(self, signal: torch.Tensor, _level: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(signal), 12)


def test_triplet_of_a_collapsed_encoder_is_the_margin() -> None:
    network = model()
    network.encoder = _Constant()
    loss, _ = NearTriplet(margin=0.5).loss(network, batch(), np.random.default_rng(0))
    assert loss.item() == pytest.approx(0.5, abs=1e-6)


def test_triplet_equals_a_plain_double_loop() -> None:
    network, given = model().eval(), batch(6)
    loss, output = NearTriplet(margin=0.3).loss(network, given, np.random.default_rng(0))
    shifted = network(given.near, given.near_present, given.location, given.scale)
    anchor = network.learnt(output.embedding)[:, 0].detach().numpy()
    near = network.learnt(shifted.embedding)[:, 0].detach().numpy()

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return 1 - float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b))

    expected = np.mean(
        [
            max(0.0, 0.3 + apart(anchor[i], near[i]) - apart(anchor[i], anchor[j]))
            for i in range(6)
            for j in range(6)
            if i != j
        ]
    )
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_missing_values_are_no_target() -> None:
    """A cell that was never recorded may hold anything: the loss does not change."""
    given = batch()
    present = given.present.clone()
    present[:, :, 10:20] = 0
    network, objective = model().eval(), MaskedReconstruction()
    losses = []
    for filling in (0.0, 50.0):
        window = torch.where(present > 0, given.window, filling)
        other = replace(given, window=window, present=present)
        losses.append(objective.loss(network, other, np.random.default_rng(0))[0].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


class _Answer(Network):
    """Restores what it was told to, whatever it sees."""

    def __init__(self, shape: torch.Tensor) -> None:
        super().__init__(architecture="dense", window_rows=64, embedding_dim=20)
        self.answer = shape

    def forward(self, *given: torch.Tensor) -> Output:
        return super().forward(*given)._replace(shape=self.answer)


@pytest.mark.parametrize("weight", [0.0, 0.1, 5.0])
def test_invented_noise_costs_more_than_silence(weight: float) -> None:
    """A loss that rewards noise teaches the decoder spikes; the right answer costs least of all."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((200, 64)).astype(np.float32)
    given = as_batch(noise, noise, location=np.zeros(200, np.float32), scale=np.ones(200, np.float32))
    own = normalise(given.window, given.present, given.location, given.scale).shape
    objective = MaskedReconstruction(hidden_share=0.0, noise=0.0, spectrum_weight=weight)
    invented = torch.from_numpy(rng.standard_normal((200, 1, 64)).astype(np.float32))
    right, silence, spiked = (
        objective.loss(_Answer(shape), given, np.random.default_rng(0))[0].item()
        for shape in (own, torch.zeros_like(own), 0.3 * invented)
    )
    assert right < 1e-6 < silence < spiked


def test_estrangement_punishes_an_encoder_that_sees_no_fault_and_not_one_that_sees_them_all() -> None:
    objective = Estrangement(margin=0.5, temperature=0.3)
    far = torch.zeros(4, 9, 3)
    far[:, 7:] = 50.0
    blind, seeing = (objective._apart(points, 6).item() for points in (torch.zeros(4, 9, 3), far))
    assert blind == pytest.approx(0.3 * np.log1p(np.exp(0.5 / 0.3)), rel=1e-4)
    assert seeing < 1e-3


def test_distance_to_the_memory_equals_numpy() -> None:
    rng = np.random.default_rng(0)
    points, memory = rng.standard_normal((2, 4, 5)), rng.standard_normal((2, 6, 5))
    found = to_nearest(torch.from_numpy(points), torch.from_numpy(memory)).numpy()
    apart = np.linalg.norm(points[:, :, None] - memory[:, None], axis=-1)
    np.testing.assert_allclose(found, np.sort(apart, axis=-1)[..., :3].mean(-1), rtol=1e-4)


def test_every_faulty_twin_differs_from_its_window() -> None:
    given = batch()
    window = given.window[:, 0].numpy()
    place = {"location": given.location.numpy(), "scale": given.scale.numpy()}
    fault = spoiled(window, **place, rng=np.random.default_rng(0))
    assert (np.abs(fault - window).max(axis=1) > 0.1).all()


def companions_learn(objective: Objective, companion: nn.Module) -> tuple[float, float]:
    """Loss before and after training the companion alone."""
    network, given = model().eval(), batch()
    optimizer = torch.optim.Adam(companion.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss, _ = objective.loss(network, given, np.random.default_rng(0))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


def test_the_row_head_learns_where_anomalies_were_injected_and_teaches_the_encoder() -> None:
    head = RowHead(20)
    before, after = companions_learn(InjectedRows(head), head)
    assert after < 0.8 * before
    network = model()
    loss, _ = InjectedRows(head).loss(network, batch(), np.random.default_rng(0))
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad.abs().max() > 0 for parameter in network.encoder.parameters())


def test_the_discriminator_learns_and_the_encoder_is_pushed_the_other_way() -> None:
    discriminator = Discriminator(12)
    objective = AdversarialEmbedding(discriminator)
    before, after = companions_learn(objective, discriminator)
    assert after < 0.8 * before
    network, given = model().eval(), batch()
    loss, _ = objective.loss(network, given, np.random.default_rng(0))
    loss.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():  # a step along the descent of the encoder's gradient deceives the discriminator
        for parameter in network.encoder.parameters():
            parameter.sub_(0.02 * parameter.grad / parameter.grad.norm().clamp(min=1e-9))
    worse, _ = objective.loss(network, given, np.random.default_rng(0))
    assert worse.item() > loss.item()


def test_a_student_that_is_its_teacher_has_nothing_to_learn() -> None:
    teacher, given = model().eval(), batch()
    torch.manual_seed(3)
    other = Network(architecture="conv_small", window_rows=64, embedding_dim=20)
    same, apart = (
        Imitation(teacher).loss(student, given, np.random.default_rng(0))[0].item()
        for student in (teacher, other)
    )
    assert same < 1e-5
    assert apart > 0.1


def test_what_objectives_train_beside_the_network_is_handed_out_where_it_has_weight() -> None:
    head, discriminator = RowHead(20), Discriminator(12)
    parts = {"rows": (1.0, InjectedRows(head)), "even": (0.0, AdversarialEmbedding(discriminator))}
    assert list(Weighted(parts).companions().values()) == [head]


def test_all_weights_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="weight 0"):
        Weighted({"a": (0.0, NearTriplet())}).loss(model(), batch(), np.random.default_rng(0))
