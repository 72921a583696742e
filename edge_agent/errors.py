"""The one tree of errors, each with the exit code that the command line ends with.

    EdgeAgentError          1
    ├── UsageError          2   an argument or a combination of arguments makes no sense
    ├── ConfigError         2   the configuration file; carries every finding at once
    ├── BundleError         3   a model bundle is missing, altered, truncated or too new
    │   └── NewerError      3   a file is whole, and a newer version of the agent wrote it
    ├── RecordingError      4   a table of sensor data cannot be used
    ├── CommissionError     5   a machine's normal behaviour cannot be learnt from these rows
    ├── ProviderError       6   the execution provider that the configuration requires is absent
    ├── StateError          7   the state directory cannot be read or written
    │   └── DatabaseError   7   the database in it; says whether waiting can help
    ├── TrainingError       8   the trainer cannot start or finish a stage
    └── CommandError        9   an agent refused a command, or did not answer

Expected outcomes (a bad payload, a late sample) are values, not errors: see `records.Reject`.
"""

from pathlib import Path


class EdgeAgentError(Exception):
    """Root of the tree; `exit_code` is what the process ends with."""

    exit_code = 1


class UsageError(EdgeAgentError):
    """An argument, or a combination of arguments, makes no sense."""

    exit_code = 2


class ConfigError(EdgeAgentError):
    """The configuration has faults; `findings` lists all of them as (where, what)."""

    exit_code = 2

    def __init__(self, path: Path, findings: tuple[tuple[str, str], ...]) -> None:
        lines = "\n".join(f"  {where}: {what}" for where, what in findings)
        super().__init__(f"{path}: {len(findings)} finding(s)\n{lines}")
        self.path = path
        self.findings = findings


class BundleError(EdgeAgentError):
    """A model bundle cannot be trusted; names the file and the reason."""

    exit_code = 3

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class NewerError(BundleError):
    """A file that a newer version of the agent wrote: it is whole, and to be left alone."""


class RecordingError(EdgeAgentError):
    """A table of sensor data cannot be used; names the file and the reason."""

    exit_code = 4

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class CommissionError(EdgeAgentError):
    """A machine's normal behaviour cannot be learnt from the rows at hand."""

    exit_code = 5


class ProviderError(EdgeAgentError):
    """The required execution provider is absent."""

    exit_code = 6


class StateError(EdgeAgentError):
    """The state directory cannot be read or written; names the path and the reason."""

    exit_code = 7

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class DatabaseError(StateError):
    """The database cannot be read or written; `corrupt` if waiting will not help."""

    def __init__(self, path: Path, reason: str, *, corrupt: bool = False) -> None:
        super().__init__(path, reason)
        self.corrupt = corrupt


class TrainingError(EdgeAgentError):
    """A training stage cannot start or finish."""

    exit_code = 8


class CommandError(EdgeAgentError):
    """An agent refused a command, or did not answer; `reason` is its word for it, empty where it said nothing."""

    exit_code = 9

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason
