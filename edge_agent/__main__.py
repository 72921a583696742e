"""`python -m edge_agent` is the command line."""

from edge_agent.cli.app import main

if __name__ == "__main__":
    main()
