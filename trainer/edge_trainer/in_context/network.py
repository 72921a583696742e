"""The judge: what is known of a window, channel by channel and of the machine, to "fault or not". Trains nothing.

One map is shared by all channels, whose order and number mean nothing (Zaheer et al., "Deep Sets", 2017): a channel's
own logit comes from it, and the window's from what is pooled over the channels.

Axes: B windows, C channels, F features of a channel, G features of the machine, H hidden units.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

HIDDEN_UNITS = 96
_CLIP = 6.0
"""Training spreads beyond which a feature says no more."""
_ABSENT = -30.0
"""Logit of a channel that is not there."""
_POOLED_SHARE = 0.5
"""How much the loudest channels count in the window's logit before anything is learnt."""
_LEAST_SPREAD = 0.05
_WINDOW_LAYERS = (0, 3, 5)
"""Places of the linear layers in a judge's `of_window`."""


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
    """The mean of judges that were trained alike from other seeds: what one of them imagines the others do not.

    All are asked in one pass, each in its place in front of the other axes, with a third of the operators that they
    would take by turns: a gateway pays for each of these. They must have the same sizes and are not trained any more.

    Axes: J judges.
    """

    mean: Tensor
    scale: Tensor
    of_machine: Tensor
    of_machine_bias: Tensor
    least: Tensor
    most: Tensor
    of_channel: Tensor
    hidden: Tensor
    hidden_bias: Tensor
    logit: Tensor
    logit_bias: Tensor
    window_0: Tensor
    window_0_bias: Tensor
    window_1: Tensor
    window_1_bias: Tensor
    window_2: Tensor
    window_2_bias: Tensor

    def __init__(self, judges: Sequence[JudgeNetwork]) -> None:
        super().__init__()
        for name, joined in _joined(judges).items():
            self.register_buffer(name, joined)

    def forward(self, channels: Tensor, machine: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """As one judge."""
        known = ((machine.unsqueeze(0) - self.mean) * self.scale).clamp(-_CLIP, _CLIP)  # J B G
        beside = (torch.matmul(known, self.of_machine) + self.of_machine_bias).unsqueeze(2)  # J B 1 H
        seen = torch.minimum(torch.maximum(channels.unsqueeze(0), self.least), self.most)  # J B C F
        hidden = functional.gelu(torch.matmul(seen, self.of_channel) + beside)
        hidden = functional.gelu(torch.matmul(hidden, self.hidden) + self.hidden_bias)  # J B C H
        logits = torch.matmul(hidden, self.logit).squeeze(-1) + self.logit_bias
        absent = torch.tensor(_ABSENT)
        logits = torch.where(present, logits, absent)  # J B C
        there = present.unsqueeze(-1)
        weight = there.to(hidden.dtype)
        count = weight.sum(dim=1).clamp(min=1.0)  # B 1
        counted = hidden * weight
        mean = counted.sum(dim=2) / count
        loud = ((counted * hidden).sum(dim=2) / count.sqrt() + 1e-6).sqrt()
        most = torch.where(there, hidden, absent).amax(dim=2)
        joined = torch.logsumexp(logits, dim=2, keepdim=True)
        pooled = torch.cat([mean, loud, most, known, logits.amax(dim=2, keepdim=True), joined], dim=-1)
        window = functional.gelu(torch.matmul(pooled, self.window_0) + self.window_0_bias)
        window = functional.gelu(torch.matmul(window, self.window_1) + self.window_1_bias)
        window = torch.matmul(window, self.window_2) + self.window_2_bias + _POOLED_SHARE * joined
        return window.squeeze(-1).mean(dim=0), logits.mean(dim=0)


@torch.no_grad()
def _joined(judges: Sequence[JudgeNetwork]) -> dict[str, Tensor]:
    """What all judges multiply by and add, laid so that it meets features [J, B, C, F] and [J, B, G].

    What channels are normalised by is in the first layer: instead of features, their bounds are brought to its units.
    """

    def of(part: Callable[[JudgeNetwork], Tensor]) -> Tensor:
        return torch.stack([part(judge).detach() for judge in judges])

    def layer(name: str, at: int) -> tuple[Tensor, Tensor]:
        weight = of(lambda judge: getattr(judge, name)[at].weight).transpose(1, 2).contiguous()
        return weight, of(lambda judge: getattr(judge, name)[at].bias).unsqueeze(1)

    mean, spread = of(lambda judge: judge.channel_mean), of(lambda judge: judge.channel_spread)
    first, first_bias = layer("of_channel", 0)  # J F+G H
    n_features = mean.shape[1]
    of_channel = first[:, :n_features] / spread.unsqueeze(2)
    hidden, hidden_bias = layer("of_channel", 2)
    found = {
        "mean": of(lambda judge: judge.machine_mean).unsqueeze(1),
        "scale": 1.0 / of(lambda judge: judge.machine_spread).unsqueeze(1),
        "of_machine": first[:, n_features:].contiguous(),
        "of_machine_bias": first_bias - torch.matmul(mean.unsqueeze(1), of_channel),
        "least": (mean - _CLIP * spread)[:, None, None],
        "most": (mean + _CLIP * spread)[:, None, None],
        "of_channel": of_channel.unsqueeze(1),
        "hidden": hidden.unsqueeze(1),
        "hidden_bias": hidden_bias.unsqueeze(1),
        "logit": of(lambda judge: judge.channel_logit.weight).transpose(1, 2).unsqueeze(1),
        "logit_bias": of(lambda judge: judge.channel_logit.bias).unsqueeze(1),
    }
    for number, at in enumerate(_WINDOW_LAYERS):
        found[f"window_{number}"], found[f"window_{number}_bias"] = layer("of_window", at)
    return found


@torch.no_grad()
def parted(joined: Mapping[str, Tensor], *, dropout: float) -> list[JudgeNetwork]:
    """The judges that a `JointJudge` with these tensors is the mean of, the same but for rounding.

    Raises:
        KeyError: a tensor is missing. RuntimeError: one has another shape.
    """
    mean, spread = (joined["least"] + joined["most"]) / 2, (joined["most"] - joined["least"]) / (2 * _CLIP)
    return [
        _one(
            {name: tensor[place].squeeze(0) for name, tensor in joined.items()},
            mean=mean[place].flatten(),
            spread=spread[place].flatten(),
            dropout=dropout,
        )
        for place in range(len(mean))
    ]


def _one(mine: Mapping[str, Tensor], *, mean: Tensor, spread: Tensor, dropout: float) -> JudgeNetwork:
    """A judge from what it multiplies by and adds, [F, H] and [H], and the scales of its channels [F]."""
    weight = {"of_channel.2": mine["hidden"], "channel_logit": mine["logit"]}
    bias = {"of_channel.2": mine["hidden_bias"], "channel_logit": mine["logit_bias"]}
    weight["of_channel.0"] = torch.cat([mine["of_channel"] * spread.unsqueeze(1), mine["of_machine"]])
    bias["of_channel.0"] = mine["of_machine_bias"] + mean @ mine["of_channel"]
    for number, at in enumerate(_WINDOW_LAYERS):
        weight[f"of_window.{at}"], bias[f"of_window.{at}"] = (
            mine[f"window_{number}"],
            mine[f"window_{number}_bias"],
        )
    network = JudgeNetwork(
        channel_features=len(mean),
        machine_features=len(mine["of_machine"]),
        hidden=weight["of_channel.2"].shape[0],
        dropout=dropout,
    )
    network.load_state_dict(
        {
            "channel_mean": mean,
            "channel_spread": spread,
            "machine_mean": mine["mean"].flatten(),
            "machine_spread": 1.0 / mine["scale"].flatten(),
            **{f"{layer}.weight": tensor.transpose(0, 1).contiguous() for layer, tensor in weight.items()},
            **{f"{layer}.bias": tensor.flatten() for layer, tensor in bias.items()},
        }
    )
    return network.eval()
