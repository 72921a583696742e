"""An inverter-fed induction motor with two bearings under a cyclic load. One machine; no electromagnetic waveform.

Currents are root-mean-square values, vibrations root-mean-square velocities, as a gateway gets them. Copper loss
(I^2) heats the winding, friction the bearings; the shaft fan cools better at speed. Load and speed are relative.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.dynamics import bursts, hall, lag, per_mode, spread, wander
from simulator.records import Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("current_u", "A", 0.15, 0.05),
    Channel("current_v", "A", 0.15, 0.05),
    Channel("current_w", "A", 0.15, 0.05),
    Channel("speed", "rpm", 0.8, 0.5),
    Channel("torque", "Nm", 1.0, 0.5),
    Channel("winding_temperature", "degC", 0.1, 0.1),
    Channel("bearing_temperature_de", "degC", 0.08, 0.1),
    Channel("bearing_temperature_nde", "degC", 0.08, 0.1),
    Channel("vibration_de", "mm/s", 0.025, 0.01),
    Channel("vibration_nde", "mm/s", 0.025, 0.01),
    Channel("ambient_temperature", "degC", 0.05, 0.1),
)
_FAULTS = (
    Fault(
        "bearing_outer_race",
        ("vibration_de", "bearing_temperature_de"),
        "spalled race, drive end: knocking, then heat",
    ),
    Fault(
        "imbalance", ("vibration_de", "vibration_nde"), "mass off centre: vibration grows with speed squared"
    ),
    Fault(
        "misalignment",
        ("vibration_de", "bearing_temperature_de", "bearing_temperature_nde"),
        "coupling out of line: both bearings loaded, drive end vibrates with torque",
    ),
    Fault("winding_overheat", ("winding_temperature",), "shorted turns: the winding heats without more load"),
    Fault("phase_unbalance", ("current_u", "current_w"), "bad contact in phase U; V and W carry its share"),
    Fault(
        "cooling_loss",
        ("winding_temperature", "bearing_temperature_de", "bearing_temperature_nde"),
        "fan or fins clogged: everything runs hot",
    ),
    Fault(
        "rotor_bar_break",
        ("current_u", "current_v", "current_w", "vibration_de"),
        "broken bars: current and torque beat with the slip",
    ),
)
_SYNCHRONOUS_RPM = 1500.0
_RATED_RAD_S = _SYNCHRONOUS_RPM * 2.0 * np.pi / 60.0


@dataclass(frozen=True, slots=True)
class _Motor:
    """Constants of one motor and what it drives."""

    rated_a: float
    magnetising_a: float
    rated_nm: float
    slip: float  # relative speed lost at rated torque
    winding_rise_k: float  # at rated current and speed
    bearing_rise_k: float
    rough_de: float  # healthy vibration at rated speed, mm/s
    rough_nde: float
    stroke_s: float  # period of the driven machine
    stroke_depth: float
    phase_bias: tuple[float, float, float]


def _draw(rng: np.random.Generator) -> _Motor:
    return _Motor(
        rated_a=spread(rng, 56.0),
        magnetising_a=spread(rng, 20.0),
        rated_nm=spread(rng, 195.0),
        slip=spread(rng, 0.02, 0.15),
        winding_rise_k=spread(rng, 68.0),
        bearing_rise_k=spread(rng, 24.0, 0.15),
        rough_de=spread(rng, 1.1, 0.25),
        rough_nde=spread(rng, 0.8, 0.25),
        stroke_s=spread(rng, 42.0, 0.3),
        stroke_depth=spread(rng, 0.13, 0.4),
        phase_bias=(spread(rng, 1.0, 0.012), spread(rng, 1.0, 0.012), spread(rng, 1.0, 0.012)),
    )


def _load(motor: _Motor, scene: Scene) -> Floats:
    """Relative torque [R]: mode level, strokes of the driven machine, irregular material."""
    rng, rows, dt_s = scene.streams.process, scene.rows, scene.dt_s
    level = lag(per_mode(scene.mode, (0.12, 0.5, 0.9)) * scene.demand * scene.run, tau_s=12.0, dt_s=dt_s)
    slow = 0.6 * wander(rng, rows, tau_s=400.0, dt_s=dt_s)
    cycle = (np.arange(rows) * dt_s / motor.stroke_s + rng.uniform() + 0.15 * slow) % 1.0
    stroke = lag((cycle < 0.35).astype(np.float64) - 0.35, tau_s=2.0, dt_s=dt_s)
    return level * (
        1.0 + motor.stroke_depth * stroke + 0.03 * wander(rng, rows, tau_s=5.0, dt_s=dt_s) + 0.05 * slow
    )


def _currents(motor: _Motor, scene: Scene, *, load: Floats, beat: Floats) -> tuple[Floats, Floats, Floats]:
    """Phase currents U, V, W in A, each [R]."""
    rng, rows, dt_s, bad = scene.streams.process, scene.rows, scene.dt_s, scene.severity
    grid = 1.0 + 0.008 * wander(rng, rows, tau_s=60.0, dt_s=dt_s)
    active = np.sqrt(motor.rated_a**2 - motor.magnetising_a**2) * load
    common = np.hypot(motor.magnetising_a, active) * grid * (1.0 + beat) * scene.run
    contact = bad["phase_unbalance"] * (1.0 + 0.12 * wander(rng, rows, tau_s=8.0, dt_s=dt_s))
    share = (1.0 - 0.45 * contact, 1.0 + 0.14 * contact, 1.0 + 0.40 * contact)
    u, v, w = (common * bias * part for bias, part in zip(motor.phase_bias, share, strict=True))
    return u * (1.0 + 0.05 * bad["winding_overheat"]), v, w


def _vibrations(motor: _Motor, scene: Scene, *, load: Floats, speed: Floats) -> tuple[Floats, Floats]:
    """Vibration at the drive end and the other end in mm/s, each [R]."""
    rng, rows, dt_s, bad = scene.streams.process, scene.rows, scene.dt_s, scene.severity
    square = np.square(speed)
    common = 0.05 * wander(rng, rows, tau_s=90.0, dt_s=dt_s)
    healthy = square * 0.8 + 0.35 * load + 0.1
    knock = bad["bearing_outer_race"] * (0.7 + 0.5 * bursts(rng, rows, tau_s=4.0, dt_s=dt_s)) * speed
    heavy, skew, bars = bad["imbalance"] * square, bad["misalignment"] * scene.run, bad["rotor_bar_break"]
    noise_de = np.exp(common + 0.06 * wander(rng, rows, tau_s=1.5, dt_s=dt_s))
    noise_nde = np.exp(common + 0.06 * wander(rng, rows, tau_s=1.5, dt_s=dt_s))
    extra_de = 1.1 * heavy + knock + skew * (0.7 + 1.4 * load) + 0.9 * bars * load
    extra_nde = 1.2 * heavy + 0.12 * knock + 0.25 * skew + 0.25 * bars * load
    return motor.rough_de * (healthy + extra_de) * noise_de, motor.rough_nde * (
        healthy + extra_nde
    ) * noise_nde


def _physics(scene: Scene) -> Mapping[str, Floats]:
    dt_s, bad = scene.dt_s, scene.severity
    motor, air, on = _draw(scene.streams.machine), hall(scene), scene.run
    load = _load(motor, scene)
    speed = lag(per_mode(scene.mode, (0.72, 0.9, 1.0)) * on, tau_s=6.0, dt_s=dt_s)
    # Slip frequency of a few tenths of a hertz, folded by slow sampling into a visible beat.
    turns = np.cumsum(0.07 + 0.9 * motor.slip * load) * dt_s
    beat = bad["rotor_bar_break"] * (0.22 * np.sin(2.0 * np.pi * turns) + 0.05)
    current = _currents(motor, scene, load=load, beat=beat)
    vibration_de, vibration_nde = _vibrations(motor, scene, load=load, speed=speed)
    copper = sum(np.square(phase / motor.rated_a) for phase in current) / 3.0
    cooling = (0.55 + 0.45 * speed) * (1.0 - 0.42 * bad["cooling_loss"])
    short = 1.0 + 0.15 * bad["winding_overheat"]
    winding = lag(
        (motor.winding_rise_k * copper * short + 12.0 * speed) / cooling
        + 34.0 * on * bad["winding_overheat"],
        tau_s=600.0,
        dt_s=dt_s,
    )
    friction = motor.bearing_rise_k * speed * (0.7 + 0.4 * load) / (1.0 - 0.38 * bad["cooling_loss"])
    skew = on * bad["misalignment"] * (0.6 + 0.4 * load)
    rise_de = friction + 0.08 * winding + 16.0 * skew + 20.0 * bad["bearing_outer_race"] * speed
    rise_nde = 0.85 * friction + 0.06 * winding + 13.0 * skew + 1.0 * on * bad["bearing_outer_race"]
    return {
        "current_u": current[0],
        "current_v": current[1],
        "current_w": current[2],
        "speed": _SYNCHRONOUS_RPM * speed * (1.0 - motor.slip * load * (1.0 + 0.5 * beat)),
        "torque": motor.rated_nm * load * (1.0 + 0.3 * beat),
        "winding_temperature": air + winding,
        "bearing_temperature_de": air + lag(rise_de, tau_s=450.0, dt_s=dt_s),
        "bearing_temperature_nde": air + lag(rise_nde, tau_s=450.0, dt_s=dt_s),
        "vibration_de": vibration_de,
        "vibration_nde": vibration_nde,
        "ambient_temperature": air,
        "power_kw": motor.rated_nm * load * speed * _RATED_RAD_S / 920.0 + 0.8 * on,
    }


MOTOR = Kind(
    name="motor",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=("idle", "half_load", "full_load"),
    dwell_s=(240.0, 1500.0),
    physics=_physics,
    wears=("cooling_loss",),
)
