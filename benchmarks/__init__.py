"""What is measured, a folder a question; nothing of it ships.

`python -m benchmarks.<question>.run`, from the root of a checkout, answers the question of a folder; what else stands
in it is a part of that or a question of its own, started the same way. `make help` names the usual ones.

    detection/      does the score find what is wrong, beside published figures and baselines
    diagnosis/      is the fault called by its name, from few labels
    false_alarms/   is the budget of false alarms kept
    everyday/       are machines left in peace that stop, change product, carry meters and doors
    few_minutes/    what is found, and how quiet it is, on machines learnt from ten minutes or an hour
    sensor_faults/  are broken sensors told from broken machines, whatever rates they have
    performance/    how fast, how large, beside limits and peers
    reliability/    is anything lost: faults, hours of load, every format, the whole way from recording to name
    harness/        what all of them share: processes, provenance, the page of results
    results/        what the last runs found; docs/ is made from it

Benchmarks import the trainer, the simulator and the agent, never the tests; nobody but the tests imports them.
"""

from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
