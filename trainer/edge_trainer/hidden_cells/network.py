"""The masked autoencoder's network: weighs what is expected of a hidden cell, corrects it, and says how sure it is.

Axes: N cells, E expectations, F features, H hidden units.
"""

import torch
from torch import Tensor, nn

HIDDEN_UNITS = 64
_CLIP = 6.0
"""Training spreads beyond which a feature says no more."""
_LARGEST_CORRECTION = 3.0
_LEAST_SPREAD = 0.05
_LOG_DEVIATION = 5.0


class HiddenCellNetwork(nn.Module):
    """Features and expectations to a value, all in units of what the best expectation errs by on calm rows."""

    feature_mean: Tensor
    feature_spread: Tensor

    def __init__(self, *, features: int, expectations: int, hidden: int = HIDDEN_UNITS) -> None:
        super().__init__()
        self.sizes = {"features": features, "expectations": expectations, "hidden": hidden}
        self.expectations = expectations
        self.register_buffer("feature_mean", torch.zeros(features))
        self.register_buffer("feature_spread", torch.ones(features))
        self.body = nn.Sequential(
            nn.Linear(features, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, expectations + 2),
        )

    def learn_scales(self, features: Tensor) -> None:
        """Normalise by these features [N, F]."""
        self.feature_mean.copy_(features.mean(dim=0))
        self.feature_spread.copy_(features.std(dim=0) + _LEAST_SPREAD)

    def forward(self, features: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
        """(value [N], logarithm of its deviation [N]) of cells with features [N, F] and expectations [N, E]."""
        seen = ((features - self.feature_mean) / self.feature_spread).clamp(-_CLIP, _CLIP)
        told = self.body(seen)
        weight = torch.softmax(told[:, : self.expectations], dim=-1)
        correction = _LARGEST_CORRECTION * torch.tanh(told[:, self.expectations] / _LARGEST_CORRECTION)
        deviation = told[:, self.expectations + 1].clamp(-_LOG_DEVIATION, _LOG_DEVIATION)
        return (weight * expected).sum(dim=-1) + correction, deviation
