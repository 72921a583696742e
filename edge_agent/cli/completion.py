"""The command `completion`, and the answers to a shell that asks what could come next."""

import sys
from enum import StrEnum
from typing import Annotated

import typer
from typer._completion_classes import completion_init
from typer._completion_shared import get_completion_script

PROGRAM = "edge-agent"
"""Also as `python -m edge_agent`: completion goes by this name."""


class Shell(StrEnum):
    """The shells that a script can be printed for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def answer_shells() -> None:
    """Let a shell that asks be answered before anything runs."""
    completion_init()


def completion(shell: Annotated[Shell, typer.Argument(help="Whose script.")]) -> None:
    """Print the script that lets a shell complete commands and options."""
    script = get_completion_script(prog_name=PROGRAM, complete_var="_EDGE_AGENT_COMPLETE", shell=shell.value)
    sys.stdout.write(script + "\n")
