"""`python -m simulator`: hands the arguments to the command, nothing else."""

import sys

from simulator.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
