"""`python -m edge_trainer`: hands over to the command line, nothing else."""

from edge_trainer.cli.app import main

if __name__ == "__main__":
    main()
