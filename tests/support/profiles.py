"""Profiles of machines that were never learnt, for tests of what keeps and hands on profiles."""

import numpy as np

from edge_agent.records import Profile


def small_profile(
    machine: str = "pump-1",
    *,
    memory: dict[str, np.ndarray],
    channels: tuple[str, ...] = ("a", "b"),
    encoder: str = "e1",
) -> Profile:
    """A profile of 100 rows, one a second, with a window scored at each row, learnt at 5 ns."""
    return Profile(
        machine=machine,
        channels=channels,
        memory=memory,
        rows=100,
        period_ns=10**9,
        hop_rows=1,
        encoder=encoder,
        learnt_ns=5,
    )
