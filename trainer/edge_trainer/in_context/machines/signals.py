"""Machines that are no physics: mixtures of a few latent signals, heavy-tailed noise with memory, switches.

What simulated kinds are too smooth and too alike to teach: any relation between channels, cycles of any form, tails
that no Gaussian has. In the spirit of priors over data sets (Hollmann et al., "TabPFN", 2023).
"""

import numpy as np

from edge_agent.records import Float32
from edge_trainer.data import synthetic
from edge_trainer.in_context.injections import Floats, log_uniform
from edge_trainer.in_context.machines.machine import MachineRows, drawn_lengths, troubled
from simulator.dynamics import lag, wander

_PERIODS_S = (0.2, 60.0)
_MOST_CHANNELS = 24


def draw_mixture(rng: np.random.Generator) -> MachineRows:
    """Channels that mix one to four latent signals."""
    context_rows, rows = drawn_lengths(rng)
    latent = synthetic.laid_under(rng, synthetic.windows(rng, count=int(rng.integers(1, 5)), length=rows))
    return _machine(rng, _mixed(rng, latent.astype(np.float64)), context_rows=context_rows)


def draw_cycles(rng: np.random.Generator) -> MachineRows:
    """The same with latent signals that repeat one short recipe, now a little faster, now slower."""
    context_rows, rows = drawn_lengths(rng)
    length = int(log_uniform(rng, 24, max(48, context_rows // 4)))
    recipe = synthetic.windows(rng, count=int(rng.integers(1, 5)), length=length).astype(np.float64)
    phase = np.cumsum(1.0 + rng.choice([0.0, 0.01, 0.03]) * rng.standard_normal(rows)) % (length - 1)
    latent = np.stack([np.interp(phase, np.arange(length), signal) for signal in recipe])
    return _machine(rng, _mixed(rng, latent), context_rows=context_rows)


def draw_heavy_tailed(rng: np.random.Generator) -> MachineRows:
    """Noise with memory and heavy tails that channels share, daily cycles, slow wandering and growing noise."""
    context_rows, rows = drawn_lengths(rng)
    count = int(np.clip(np.exp(rng.normal(1.4, 0.6)), 1, 16))
    freedom, memory_rows = rng.uniform(2.8, 12.0), log_uniform(rng, 1.0, 50.0)
    keep = float(np.exp(-1.0 / memory_rows))
    shocks = rng.standard_t(freedom, (rows, count + 1)) * np.sqrt((freedom - 2.0) / freedom)
    noise = np.stack([_remembered(column, keep) for column in shocks.T], axis=1)
    shared = rng.choice([0.0, 0.5, 0.8, 0.95], count)
    values = shared * noise[:, :1] + np.sqrt(1.0 - shared**2) * noise[:, 1:]
    values += rng.uniform(0.0, 0.6) * rng.standard_normal((rows, count))
    day = np.arange(rows)[:, None] / log_uniform(rng, 2000, 40_000)
    values += rng.choice([0.0, 0.5, 1.0, 2.0], count) * np.sin(2 * np.pi * (day + rng.random(count)))
    if rng.random() < 0.6:
        values *= 1.0 + rng.uniform(0.0, 0.02) * day
        values += rng.uniform(-0.3, 0.3, count) * day
    return _machine(rng, values, context_rows=context_rows)


def draw_switches(rng: np.random.Generator) -> MachineRows:
    """One to three quantities that follow commands, among many channels that only switch, as in telemetry.

    Most channels say nothing to the score, and one that does moves as the commands do, at times that no clock tells.
    """
    context_rows, rows = drawn_lengths(rng)
    count = int(rng.integers(6, _MOST_CHANNELS - 2))
    rate = np.exp(rng.uniform(np.log(2.0), np.log(200.0), count)) / rows
    pulses = np.zeros((rows, count))
    for channel in range(count):
        for start in np.flatnonzero(rng.random(rows) < rate[channel]):
            pulses[start : start + int(log_uniform(rng, 1, 300)), channel] = 1.0
    columns = []
    for _ in range(int(rng.integers(1, 4))):
        drive = pulses @ (rng.standard_normal(count) * (rng.random(count) < 0.2))
        course = lag(drive, tau_s=log_uniform(rng, 1.0, 200.0), dt_s=1.0)
        turn = np.arange(rows) / log_uniform(rng, 30.0, 3000.0) + rng.random()
        wave = rng.choice([0.0, 0.5, 1.0]) * (
            2.0 * np.abs(turn % 1.0 - 0.5) if rng.random() < 0.5 else turn % 1.0
        )
        noise = log_uniform(rng, 0.003, 0.2) * wander(rng, rows, tau_s=log_uniform(rng, 0.3, 30.0), dt_s=1.0)
        columns.append(course + wave + noise)
    values = np.concatenate([np.stack(columns, axis=1), pulses], axis=1)
    placed: Float32 = (values * np.exp(rng.normal(0.0, 1.0))).astype(np.float32)
    placed[:, -count:] = pulses
    moving = np.arange(values.shape[1]) < len(columns)
    return troubled(
        rng, placed, context_rows=context_rows, period_s=log_uniform(rng, *_PERIODS_S), moving=moving
    )


def _machine(rng: np.random.Generator, values: Floats, *, context_rows: int) -> MachineRows:
    count = values.shape[1]
    placed: Float32 = (values * np.exp(rng.normal(0.0, 2.0, count)) + rng.normal(0.0, 5.0, count)).astype(
        np.float32
    )
    return troubled(rng, placed, context_rows=context_rows, period_s=log_uniform(rng, *_PERIODS_S))


def _mixed(rng: np.random.Generator, latent: Floats) -> Floats:
    """Channels [R, C] of latent signals [k, R]: mixed, delayed, bent, with parts of their own and noise."""
    k, rows = latent.shape
    count = int(np.clip(np.exp(rng.normal(1.6, 0.8)), 1, _MOST_CHANNELS))
    latent = (latent - latent.mean(axis=1, keepdims=True)) / (latent.std(axis=1, keepdims=True) + 1e-6)
    weight = rng.standard_normal((count, k)) * (rng.random((count, k)) < 0.5)
    weight[np.arange(count), rng.integers(0, k, count)] += rng.choice([-1.0, 1.0], count)
    values = (weight @ latent).T
    for channel in np.flatnonzero(rng.random(count) < 0.4):
        values[:, channel] = np.roll(values[:, channel], int(rng.integers(0, 30)))
    bent = rng.random(count)
    values = np.where(bent < 0.15, np.tanh(values), values)
    values = np.where((bent >= 0.15) & (bent < 0.25), np.sign(values) * values**2, values)
    own = synthetic.windows(rng, count=count, length=rows).T.astype(np.float64)
    own = (own - own.mean(axis=0)) / (own.std(axis=0) + 1e-6)
    values = values + own * rng.choice([0.0, 0.1, 0.5, 1.0], count)
    memory_rows = float(rng.choice([0.05, 4.0, 20.0]))
    noise = np.stack([wander(rng, rows, tau_s=memory_rows, dt_s=1.0) for _ in range(count)], axis=1)
    values = values + noise * np.exp(rng.uniform(np.log(0.01), np.log(0.5), count))
    if rng.random() < 0.3:
        switches = np.abs(synthetic.windows(rng, count=int(rng.integers(1, 3)), length=rows).T) > 1.0
        values = np.concatenate([values, switches], axis=1)[:, -_MOST_CHANNELS:]
    return values


def _remembered(shocks: Floats, keep: float) -> Floats:
    """First-order memory of shocks [R] with unit spread: recursive doubling as in `simulator.dynamics`."""
    value: Floats = shocks * np.sqrt(1.0 - keep * keep)
    decay, span = keep, 1
    while span < len(value) and decay > 1e-12:
        value[span:] += decay * value[:-span]
        decay *= decay
        span *= 2
    return value
