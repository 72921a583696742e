"""`python -m trainer`: hands over to the command line, nothing else."""

from trainer.cli.app import main

if __name__ == "__main__":
    main()
