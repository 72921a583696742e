"""Two processes of torch that train together, as `torchrun` starts them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def torchrun(*command: str) -> str:
    """Run a script of the repository in two processes; both must end well. Returns what they printed."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    done = subprocess.run(
        [*launch, "--standalone", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
