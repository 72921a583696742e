"""The demonstration with machines that run programs: `python -m benchmarks.plant.run [--out DIR] [--keep]`.

What `edge-agent demo` plays, and an arm beside it whose cycles are counted, over a real mosquitto. It ends with the
same table, and with 0 if everything was as it should be.
"""

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.harness.broker import Broker
from edge_agent.cli.demo.play import DEMO, FIRST_ROW, run
from edge_agent.cli.demo.script import Fault

CYCLES = """
[[cycle]]
machine = "arm-*"
start = { channel = "step", becomes = 1 }
step = "step"
recipe = "program"
given = ["payload", "speed_override"]
longest_s = 120
"""
PLANT = replace(
    DEMO,
    faults=(
        *DEMO.faults,
        Fault("arm-1", "arm", "collision", ("step_7", "current_1"), FIRST_ROW + 600),
    ),
    config=CYCLES,
    programmed=("arm-1",),
)


def start_mosquitto(folder: Path, leaving: ExitStack) -> int:
    """A broker of our own; its port.

    Raises:
        MissingProgramError: there is no mosquitto here.
    """
    broker = Broker(folder).start()
    leaving.callback(broker.stop)
    return broker.port


def main() -> int:
    """Play it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo-out/plant"), help="what is written")
    parser.add_argument("--keep", action="store_true", help="stay up afterwards, until Ctrl-C")
    options = parser.parse_args()
    return run(out=options.out, keep=options.keep, script=PLANT, broker=start_mosquitto)


if __name__ == "__main__":
    sys.exit(main())
