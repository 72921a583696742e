"""The network keeps the promises of the ONNX contract: free axes, independence, gaps, units."""

import numpy as np
import pytest
import torch
from edge_trainer.network.network import ARCHITECTURES, LEVEL_DIM, ConvEncoder, Head, Network, normalise
from torch import Tensor

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


def network(architecture: str) -> Network:
    torch.manual_seed(0)
    return Network(architecture=architecture, window_rows=128, embedding_dim=32).eval()


def inputs(windows: int, channels: int, *, seed: int = 0) -> Inputs:
    rng = np.random.default_rng(seed)
    location, scale = rng.normal(0, 30, (windows, channels)), np.exp(rng.normal(0, 1, (windows, channels)))
    window = location[..., None] + scale[..., None] * np.cumsum(
        rng.normal(0, 0.4, (windows, channels, 128)), 2
    )
    observed = (rng.random((windows, channels, 128)) > 0.1) * 1.0
    window, observed, location, scale = (
        torch.tensor(a, dtype=torch.float32) for a in (window, observed, location, scale)
    )
    return window, observed, location, scale


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("windows", "channels"), [(1, 1), (2, 64), (5, 8)])
def test_same_weights_serve_any_number_of_windows_and_channels(
    architecture: str, windows: int, channels: int
) -> None:
    with torch.no_grad():
        output = network(architecture)(*inputs(windows, channels))
    assert output.embedding.shape == (windows, channels, 32)
    assert output.reconstruction.shape == (windows, channels, 128)
    assert torch.isfinite(output.embedding).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_channel_is_answered_alike_whatever_the_other_channels_are(architecture: str) -> None:
    given = inputs(3, 6)
    model = network(architecture)
    with torch.no_grad():
        together = model(*given)
        alone = model(*(array[:, 2:3] for array in given))
    torch.testing.assert_close(together.embedding[:, 2:3], alone.embedding, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.reconstruction[:, 2:3], alone.reconstruction, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_hidden_cells_have_no_effect_whatever_they_hold(architecture: str) -> None:
    window, observed, location, scale = inputs(2, 3)
    model = network(architecture)
    with torch.no_grad():
        zero = model(window * observed, observed, location, scale)
        huge = model(torch.where(observed > 0, window, 1e20), observed, location, scale)
    assert torch.equal(zero.embedding, huge.embedding)
    assert torch.equal(zero.reconstruction, huge.reconstruction)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_units_do_not_matter_to_the_embedding_and_carry_over_to_the_reconstruction(architecture: str) -> None:
    window, observed, location, scale = inputs(2, 3)
    model = network(architecture)
    with torch.no_grad():
        celsius = model(window, observed, location, scale)
        fahrenheit = model(window * 1.8 + 32, observed, location * 1.8 + 32, scale * 1.8)
    torch.testing.assert_close(celsius.embedding, fahrenheit.embedding, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(
        celsius.reconstruction * 1.8 + 32, fahrenheit.reconstruction, rtol=1e-3, atol=1e-2
    )


def test_a_change_of_level_moves_both_parts_of_the_embedding() -> None:
    window, observed, location, scale = inputs(2, 3)
    model = network("conv")
    with torch.no_grad():
        before = model(window, observed, location, scale).embedding
        after = model(window + 5 * scale.unsqueeze(-1), observed, location, scale).embedding
    learnt = (after - before)[..., :-LEVEL_DIM].norm(dim=-1)
    assert learnt.min() > 0.01
    assert learnt.max() <= 2.0 + 1e-5  # directions of gain 1 are never farther apart
    assert (after[..., -LEVEL_DIM] - before[..., -LEVEL_DIM]).min() > 0.1


def test_normalisation_equals_numpy_on_observed_cells() -> None:
    window, observed, location, scale = inputs(1, 1)
    found = normalise(window, observed, location, scale)
    seen = observed[0, 0].numpy() > 0
    deviation = (window[0, 0].numpy() - location.item()) / scale.item()
    mean, spread = deviation[seen].mean(), np.sqrt(deviation[seen].var() + 0.05**2)
    np.testing.assert_allclose(
        found.shape[0, 0].numpy()[seen], (deviation[seen] - mean) / spread, rtol=1e-3, atol=1e-4
    )
    assert (found.shape[0, 0].numpy()[~seen] == 0).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_extremes_stay_finite(architecture: str) -> None:
    window, observed, location, scale = inputs(1, 4)
    window[0, 0] = location[0, 0]  # at rest
    window[0, 1] = 1e30
    observed[0, 2] = 0
    scale[0, 3] = 0.0
    with torch.no_grad():
        output = network(architecture)(window, observed, location, scale)
    assert torch.isfinite(output.embedding).all()
    assert torch.isfinite(output.reconstruction).all()


def test_features_of_a_step_do_not_see_later_rows() -> None:
    torch.manual_seed(0)
    encoder = ConvEncoder(128, 24).eval()
    signal = torch.randn(1, 3, 128)
    changed = signal.clone()
    changed[..., 64:] += 1.0
    with torch.no_grad():
        before, after = encoder.features(signal), encoder.features(changed)
    assert torch.equal(before[..., :4], after[..., :4])  # 8 steps of 16 rows; row 64 is the first of step 4
    assert not torch.equal(before[..., 4:], after[..., 4:])


def test_a_level_beyond_the_usual_is_not_expected() -> None:
    """A machine that stands still at a wrong level must have an error, or the reconstruction tells nothing."""
    still = torch.full((1, 1, 128), 40.0)
    with torch.no_grad():
        output = network("conv")(still, torch.ones_like(still), torch.zeros(1, 1), torch.full((1, 1), 2.0))
    assert (still - output.reconstruction).min() > 40 - 3 * 2 - 2


def test_head_sees_relations_between_channels() -> None:
    model = network("conv")
    model.head = Head(channels=3, embedding_dim=32, classes=4).eval()
    window, observed, location, scale = inputs(2, 3)
    with torch.no_grad():
        first = model(window, observed, location, scale).logits
        second = model(window.flip(1), observed.flip(1), location.flip(1), scale.flip(1)).logits
    assert first is not None
    assert second is not None
    assert first.shape == (2, 4)
    assert not torch.allclose(first, second)


def test_default_network_is_small() -> None:
    assert sum(parameter.numel() for parameter in network("conv").parameters()) < 300_000
