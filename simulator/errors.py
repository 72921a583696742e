"""The one error of the simulator, with the exit code that its command ends with."""


class UsageError(ValueError):
    """An argument, or a combination of arguments, makes no sense."""

    exit_code = 2
