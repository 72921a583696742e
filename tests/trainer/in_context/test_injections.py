"""Injections show, stay within their rows and channels, and are labelled from when they can be seen."""

import numpy as np
import pytest
from edge_trainer.in_context import benign, injections
from edge_trainer.in_context.injections import INJECTIONS, inject, scales_of

from edge_agent.records import Float32

START, STOP = 700, 800


def calm(seed: int = 0) -> Float32:
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(1200)[:, None] / np.array([7.0, 11.0, 31.0]))
    return (10.0 + 3.0 * wave + 0.3 * rng.standard_normal((1200, 3))).astype(np.float32)


@pytest.mark.parametrize("name", INJECTIONS)
def test_an_injection_shows_in_its_rows_and_channels_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(injections, "INJECTIONS", {name: INJECTIONS[name]})
    for seed in range(5):
        before = calm(seed)
        rows = before.copy()
        scale, _ = scales_of(before)
        done = inject(np.random.default_rng(seed), rows, start=START, stop=STOP, general=scale)
        changed = np.abs(rows - before) > 1e-6
        assert not changed[:START].any()
        assert not changed[STOP:].any()
        assert not changed[:, ~done.guilty].any()
        moved = np.sqrt(np.mean((rows - before)[START:STOP, done.guilty] ** 2, axis=0)) / scale[done.guilty]
        assert (moved > 0.01).all()
        assert START <= done.start < START + 30
        assert done.stop == STOP


def test_what_would_hardly_show_becomes_a_change_of_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(injections, "INJECTIONS", {"mirrored": INJECTIONS["mirrored"]})
    still = np.full((1200, 2), 5.0, np.float32)
    inject(np.random.default_rng(1), still, start=START, stop=STOP, general=np.ones(2))
    assert np.abs(still[START:STOP] - 5.0).max() > 0.5


def test_a_new_set_point_stays() -> None:
    rows = calm()
    start = benign.new_set_point(np.random.default_rng(3), rows, first_row=400, scale=scales_of(rows)[0])
    assert start >= 400
    moved = np.abs(rows[-40:] - calm()[-40:]).mean(axis=0)
    assert moved.max() > 0.5
    assert (rows[:start] == calm()[:start]).all()


def test_recovery_fades() -> None:
    rows, guilty = calm(), np.array([True, False, False])
    benign.recovery(np.random.default_rng(0), rows, stop=600, guilty=guilty, scale=scales_of(rows)[0])
    left = np.abs(rows - calm())
    assert left[600, 0] > 0.1
    assert left[1199, 0] < 0.1
    assert (left[:, 1:] == 0).all()
