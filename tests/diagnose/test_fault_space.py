"""What a machine does anyway is shrunk away, and windows called normal are only believed where faults lie outside."""

import numpy as np
import pytest

from edge_agent.diagnose.fault_space import ask_normal, lengths, spaces

F = 20


def moving(seed: int, n_windows: int, *, size: float = 5.0) -> np.ndarray:
    """Windows that move along the first number and hardly otherwise."""
    windows = 0.1 * np.random.default_rng(seed).standard_normal((n_windows, F))
    windows[:, 0] *= 10 * size
    return windows.astype(np.float32)


def test_what_normal_windows_do_is_shrunk_and_a_fault_is_not() -> None:
    space = spaces(moving(0, 200), None, n_numbers=F, rng=np.random.default_rng(0))["all"]
    along, across = np.eye(F, dtype=np.float32)[:2] + space.centre
    assert lengths(space.whitened(along[None]))[0] < 0.1
    assert lengths(space.whitened(across[None]))[0] > 0.5
    np.testing.assert_allclose(lengths(space.units(np.stack([along, across]))), 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("normal", "pairs", "names"),
    [(True, True, ["all", "pairs", "none"]), (True, False, ["all", "none"]), (False, True, ["all", "none"])],
)
def test_there_is_a_space_for_each_thing_that_is_known(
    *, normal: bool, pairs: bool, names: list[str]
) -> None:
    windows = moving(1, 30)
    steps = np.stack([windows[:-1], windows[1:]], axis=1)
    found = spaces(
        windows if normal else None, steps if pairs else None, n_numbers=F, rng=np.random.default_rng(0)
    )
    assert list(found) == names
    np.testing.assert_array_equal(found["none"].whitened(windows), windows - found["none"].centre)


def test_nothing_known_is_one_space_alone() -> None:
    assert list(spaces(None, None, n_numbers=F, rng=np.random.default_rng(0))) == ["all"]


def test_faults_outside_of_normal_windows_let_them_be_believed_and_faults_among_them_do_not() -> None:
    fault = np.zeros(F, np.float32)
    fault[1] = 3.0
    calm, named = moving(2, 200), moving(3, 5) + fault
    assert ask_normal(calm, named).is_calm
    mixed = calm + np.outer(np.random.default_rng(4).choice([-1.0, 1.0], 200), fault).astype(np.float32)
    assert not ask_normal(mixed, named).is_calm


def test_the_spread_is_that_of_windows_that_were_not_learnt_from() -> None:
    few, many = ask_normal(moving(5, 30), moving(6, 3)), ask_normal(moving(5, 400), moving(6, 3))
    assert few.spread > many.spread > 0
    assert ask_normal(moving(5, 9), moving(6, 3)).spread == 0.0  # too few to be held against each other
    assert ask_normal(None, moving(6, 3)).is_calm
