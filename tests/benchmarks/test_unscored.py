"""Recordings that are scored nowhere: the agent against the best of what stands beside it, set by set."""

import pytest

from benchmarks.detection.networks import AGENT, NO_NETWORK
from benchmarks.detection.unscored import beside


def test_the_agent_stands_against_the_best_of_each_set() -> None:
    def rows(**aligned: float) -> dict[str, dict[str, float]]:
        named = {"agent": AGENT, "bare": NO_NETWORK, "pca": "PCA T2 + SPE"}
        return {
            named[name]: {"vus_pr_aligned": figure, "vus_pr_causal": figure / 2}
            for name, figure in aligned.items()
        }

    found = beside(
        {"servers": rows(agent=0.3, bare=0.5, pca=0.2), "streams": rows(agent=0.5, bare=0.1, pca=0.4)}
    )
    aligned = found["vus_pr_aligned"]
    assert aligned["servers"] == {"agent": 0.3, "best": 0.5, "name": NO_NETWORK, "gain": -0.2}
    assert aligned["streams"] == {"agent": 0.5, "best": 0.4, "name": "PCA T2 + SPE", "gain": 0.1}
    assert aligned["mean"] == {"gain": pytest.approx(-0.05)}
    assert found["vus_pr_causal"]["mean"]["gain"] == pytest.approx(-0.025)
