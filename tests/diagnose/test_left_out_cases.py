"""Cases left out decide which space is asked; with few of them, what is usual does."""

import numpy as np

from edge_agent.diagnose.fault_space import Space
from edge_agent.diagnose.left_out_cases import weigh

F, K = 12, 3


def spaces() -> dict[str, Space]:
    """One that sees faults, one that has shrunk them away and sees what is by chance."""
    centre, every = np.zeros(F, np.float32), np.eye(F, dtype=np.float32)
    blind = Space(centre, every[:K], np.full(K, 1e-3, np.float32))
    sighted = Space(centre, every[K:], np.full(F - K, 1e-3, np.float32))
    return {"all": blind, "pairs": sighted}


def cases(n_cases: int, *, windows: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(windows [N, F], class [N], case [N]): a case has its own chance numbers, which its windows share."""
    rng = np.random.default_rng(0)
    index = np.repeat(np.arange(K), n_cases * windows)
    case = np.repeat(np.arange(K * n_cases), windows)
    described = np.repeat(rng.standard_normal((K * n_cases, F)), windows, axis=0)
    described[:, :K] = np.eye(K)[index] + 0.05 * rng.standard_normal((len(index), K))
    return described.astype(np.float32), index, case


def weights_of(n_cases: int, *, is_calm: bool) -> dict[str, float]:
    described, index, case = cases(n_cases)
    return weigh(
        spaces(),
        described,
        index,
        cases=case,
        is_calm=is_calm,
        votes=lambda out: np.zeros((int(out.sum()), 1)),
        sharpness=1.0,
    )


def test_without_a_second_case_calm_normal_windows_are_believed() -> None:
    assert weights_of(1, is_calm=True) == {"all": 1.0}
    assert next(iter(weights_of(1, is_calm=False))) == "pairs"


def test_the_more_cases_the_more_their_evidence_weighs() -> None:
    few, many = (weights_of(n_cases, is_calm=True) for n_cases in (2, 6))
    assert 0.5 < few["pairs"] < 1.0 or few == {"pairs": 1.0}
    assert many["pairs"] > 0.95
    assert sum(few.values()) == 1.0


def test_a_case_is_left_out_whole_and_never_the_last_of_its_class() -> None:
    described, index, case = cases(2)
    alone = np.r_[0:6, 6:9, 12:18]  # the second class has one case
    seen = []

    def votes(out: np.ndarray) -> np.ndarray:
        seen.append(out)
        return np.zeros((int(out.sum()), 1))

    weigh(
        spaces(),
        described[alone],
        index[alone],
        cases=case[alone],
        is_calm=True,
        votes=votes,
        sharpness=1.0,
    )
    assert seen
    for out in seen:
        assert not out[index[alone] == 1].any()
        assert set(case[alone][out]).isdisjoint(case[alone][~out])
        assert set(index[alone][~out]) == {0, 1, 2}


def test_one_class_needs_no_evidence() -> None:
    described, index, case = cases(3)
    only = index == 0
    found = weigh(
        spaces(),
        described[only],
        index[only],
        cases=case[only],
        is_calm=True,
        votes=lambda out: np.zeros((int(out.sum()), 1)),
        sharpness=1.0,
    )
    assert found == {"all": 1.0}
