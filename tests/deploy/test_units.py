"""The units as files: systemd understands them, and what they let the agent do is little."""

import shutil
import subprocess
from pathlib import Path

import pytest

from edge_agent import errors

ROOT = Path(__file__).parents[2]
UNITS = {"edge-agent.service": 15, "edge-agent@.service": 15, "edge-agent-gpu.service": 20}
"""The highest exposure allowed, in tenths."""
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing"
)


def settings(name: str) -> list[tuple[str, str]]:
    lines = (ROOT / "systemd" / name).read_text().splitlines()
    return [tuple(line.split("=", 1)) for line in lines if "=" in line and not line.startswith("#")]  # type: ignore[misc]


@needs_systemd
@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_every_line(name: str, tmp_path: Path) -> None:
    """`verify` ends with 0 where it only warns of unknown settings, so nothing at all may be said."""
    program = shutil.which("true") or "/bin/true"
    (tmp_path / name).write_text(
        (ROOT / "systemd" / name).read_text().replace("/usr/bin/edge-agent", program)
    )
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize(("name", "tenths"), UNITS.items())
def test_exposure_stays_low(name: str, tenths: int) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={tenths}"]
    said = subprocess.run(
        [*command, str(ROOT / "systemd" / name)], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout[-200:]


@pytest.mark.parametrize("name", UNITS)
def test_what_waiting_cannot_mend_is_not_restarted(name: str) -> None:
    prevented = set(dict(settings(name))["RestartPreventExitStatus"].split())
    lasting = {str(errors.ConfigError.exit_code), str(errors.BundleError.exit_code)}
    assert prevented >= lasting
    assert str(errors.EdgeAgentError.exit_code) not in prevented
    assert str(errors.StateError.exit_code) not in prevented  # a disk may be mounted late


def test_the_instances_unit_differs_only_in_names() -> None:
    one = (ROOT / "systemd/edge-agent.service").read_text().replace("agent.toml", "%i.toml")
    known = set(one.splitlines())
    other = {
        line
        for line in (ROOT / "systemd/edge-agent@.service").read_text().splitlines()
        if not line.startswith("#")
    }
    assert all("%i" in line for line in other - known)


def test_the_files_that_are_edited_survive_an_upgrade() -> None:
    text = (ROOT / "deploy/package/nfpm.yaml").read_text()
    assert "dst: /etc/edge-agent/agent.toml\n    type: config|noreplace" in text
