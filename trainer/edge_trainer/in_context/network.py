"""The judge: what is known of a window, channel by channel and of the machine, to "fault or not". Trains nothing.

One map is shared by all channels, whose order and number mean nothing (Zaheer et al., "Deep Sets", 2017): a channel's
own logit comes from it, and the window's from what is pooled over the channels.

Axes: B windows, C channels, F features of a channel, G features of the machine, H hidden units.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

HIDDEN_UNITS = 96
_CLIP = 6.0
"""Training spreads beyond which a feature says no more."""
_ABSENT = -30.0
"""Logit of a channel that is not there."""
_POOLED_SHARE = 0.5
"""How much the loudest channels count in the window's logit before anything is learnt."""
_LEAST_SPREAD = 0.05


class JudgeNetwork(nn.Module):
    """Features to logits, in the units of the agent; what they are normalised by is kept in buffers."""

    channel_mean: Tensor
    channel_spread: Tensor
    machine_mean: Tensor
    machine_spread: Tensor

    def __init__(
        self,
        *,
        channel_features: int,
        machine_features: int,
        hidden: int = HIDDEN_UNITS,
        dropout: float = 0.15,
    ) -> None:
        super().__init__()
        self.sizes = {"channel_features": channel_features, "machine_features": machine_features}
        self.hidden, self.dropout = hidden, dropout
        for name, count in (("channel", channel_features), ("machine", machine_features)):
            self.register_buffer(f"{name}_mean", torch.zeros(count))
            self.register_buffer(f"{name}_spread", torch.ones(count))
        self.of_channel = nn.Sequential(
            nn.Linear(channel_features + machine_features, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
        )
        self.channel_logit = nn.Linear(hidden, 1)
        self.of_window = nn.Sequential(
            nn.Linear(3 * hidden + machine_features + 2, hidden),
            nn.GELU(),
            nn.Dropout(0.1),
            nn.Linear(hidden, hidden // 2),
            nn.GELU(),
            nn.Linear(hidden // 2, 1),
        )

    def learn_scales(self, channels: Tensor, machine: Tensor) -> None:
        """Normalise by these features [N, F] and [M, G]."""
        for name, features in (("channel", channels), ("machine", machine)):
            getattr(self, f"{name}_mean").copy_(features.mean(dim=0))
            getattr(self, f"{name}_spread").copy_(features.std(dim=0) + _LEAST_SPREAD)

    def forward(self, channels: Tensor, machine: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of windows [B] and of their channels [B, C] that these are faulty.

        Args:
            channels: [B, C, F].
            machine: [B, G].
            present: which channels are there, bool [B, C].
        """
        seen = self._dropped(((channels - self.channel_mean) / self.channel_spread).clamp(-_CLIP, _CLIP))
        known = self._dropped(((machine - self.machine_mean) / self.machine_spread).clamp(-_CLIP, _CLIP))
        beside = known.unsqueeze(1).expand(-1, channels.shape[1], -1)
        hidden = self.of_channel(torch.cat([seen, beside], dim=-1))  # B C H
        logits = self.channel_logit(hidden).squeeze(-1).masked_fill(~present, _ABSENT)  # B C
        there = present.unsqueeze(-1)
        weight = there.to(hidden.dtype)
        count = weight.sum(dim=1).clamp(min=1.0)  # B 1
        mean = (hidden * weight).sum(dim=1) / count
        # Between mean and sum: one of many channels is not drowned by the healthy ones.
        loud = ((hidden * hidden * weight).sum(dim=1) / count.sqrt() + 1e-6).sqrt()
        most = hidden.masked_fill(~there, _ABSENT).amax(dim=1)
        joined = torch.logsumexp(logits, dim=1, keepdim=True)
        pooled = torch.cat([mean, loud, most, known, logits.amax(dim=1, keepdim=True), joined], dim=-1)
        window = self.of_window(pooled) + _POOLED_SHARE * joined
        return window.squeeze(-1), logits

    def _dropped(self, features: Tensor) -> Tensor:
        """While training, some features of a whole batch are taken away: no single one may be relied on."""
        if not self.training or self.dropout == 0.0:
            return features
        return features * (torch.rand(features.shape[-1]) > self.dropout).to(features.dtype)


class JointJudge(nn.Module):
    """The mean of judges that were trained alike from other seeds: what one of them imagines the others do not."""

    def __init__(self, judges: Sequence[JudgeNetwork]) -> None:
        super().__init__()
        self.judges = nn.ModuleList(judges)

    def forward(self, channels: Tensor, machine: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """As one judge."""
        told = [judge(channels, machine, present) for judge in self.judges]
        window = torch.stack([logit for logit, _ in told]).mean(dim=0)
        return window, torch.stack([logits for _, logits in told]).mean(dim=0)
