"""Every command out of the package that `make deb` built, unpacked: what the wheel forgets shows here, not at 3 a.m.

The package is not installed: its launcher is run by the Python that the package names, with nothing of this checkout.
"""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import free_port, wait_until
from benchmarks.harness.user import User
from deploy.package import manual
from edge_agent import __version__
from edge_agent.cli import app as command
from tests.support.missing import missing

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300), pytest.mark.xdist_group("package")]
ROOT = Path(__file__).parents[2]
ROWS = 300


@dataclass(frozen=True)
class Package:
    """What was unpacked, and how its program is called."""

    folder: Path

    @property
    def site(self) -> Path:
        return next((self.folder / "usr/lib/edge-agent/lib").glob("python3.*")) / "site-packages"

    @property
    def program(self) -> list[str]:
        lib = self.folder / "usr/lib/edge-agent/bin"
        first = (lib / "edge-agent").read_text().splitlines()[0]
        return [str(lib / "python3"), first.rsplit(" ", 1)[1], str(lib / "edge-agent")]

    def popen(self, typed: str, folder: Path, *, pipe: int = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.program, *typed.split()],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )

    def run(self, typed: str, folder: Path) -> tuple[int, str]:
        """Exit code, and all that was said."""
        process = self.popen(typed, folder)
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in out + err, out + err
        return process.returncode, out + err


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    made = sorted((ROOT / "dist").glob("edge-agent_*_amd64.deb"), key=lambda path: path.stat().st_mtime)
    if not made:
        pytest.skip("build the package first: make deb")
    folder = tmp_path_factory.mktemp("deb")
    subprocess.run(["dpkg-deb", "-x", str(made[-1]), str(folder)], check=True)
    package = Package(folder)
    if not Path(package.program[0]).exists():
        missing("the Python that the package is for is missing: apt install python3.11")
    if stale := older_than_source(package):
        missing(f"the package is older than {stale}: make deb")
    return package


def older_than_source(package: Package) -> str:
    """A file that the package has otherwise than this checkout; a package of yesterday says nothing of today."""
    for path in (ROOT / "edge_agent").rglob("*.py"):
        there = package.site / path.relative_to(ROOT)
        if not there.is_file() or there.read_bytes() != path.read_bytes():
            return str(path.relative_to(ROOT))
    return ""


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory, package: Package) -> Iterator[Path]:
    """A folder with the configuration of an agent from the package that runs, and has learnt a machine."""
    folder = tmp_path_factory.mktemp("floor")
    broker = Broker(folder).start()
    (folder / "agent.toml").write_text(
        f'[agent]\nname = "hall"\nstate_dir = "{folder}/state"\n[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        f"[commission]\nrows = {ROWS}\n[metrics]\nport = {free_port()}\n"
        f'[record]\ndir = "{folder}/recordings"\n[log]\nformat = "json"\n'
        '[commands]\nallow = ["ack", "shelve", "unshelve", "label", "accept", "suppress", "relearn", "budget",'
        ' "rename", "forget"]\n'
    )
    agent = package.popen("run -c agent.toml", folder, pipe=subprocess.DEVNULL)
    user = User(broker.port)
    try:
        wait_until(lambda: user.status.get("state") == "online", what="the agent of the package")
        user.publish_rows("press", 0, ROWS + 20)
        wait_until(lambda: user.machine("press") == "ready", what="the machine to be learnt")
        yield folder
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(60) == 0
    finally:
        user.close()
        agent.kill()
        agent.wait()
        broker.kill()


def test_the_package_has_a_manual_and_completions(package: Package) -> None:
    places = [manual.MAN, manual.CHANGES, manual.NEWS, *manual.COMPLETIONS.values()]
    assert [place for place in places if not (package.folder / place).is_file()] == []
    for name in ("torch", "edge_trainer", "simulator"):
        assert not (package.site / name).exists()


ASKED = {
    "--version": (0, f"edge-agent {__version__}"),
    "check -c agent.toml": (0, "verified"),
    "check": (0, "verified"),
    "doctor -c agent.toml --seconds 0.5": (0, "an agent runs and answers"),
    "status -c agent.toml": (0, "press"),
    "alarms -c agent.toml list": (0, "no open alarms"),
    "alarms -c agent.toml history": (0, "nothing that closed is kept"),
    "alarms -c agent.toml ack nothing": (9, "refused"),
    "alarms -c agent.toml label nothing wear": (9, "refused"),
    "alarms -c agent.toml accept nothing": (9, "refused"),
    "alarms -c agent.toml shelve press": (0, "done"),
    "alarms -c agent.toml unshelve press": (0, "done"),
    "machines -c agent.toml list": (0, "press"),
    "machines -c agent.toml show press": (0, "press"),
    "machines -c agent.toml budget press 2": (0, "done"),
    "machines -c agent.toml suppress press": (0, "done"),
    "machines -c agent.toml shelve press": (0, "done"),
    "machines -c agent.toml rename press Press": (0, "done"),
    "machines -c agent.toml relearn press": (0, "done"),
    "notify list -c agent.toml": (0, "no message was made yet"),
    "completion bash": (0, "_EDGE_AGENT_COMPLETE"),
    "demo": (2, "edge-agent[demo]"),
}
"""What is typed beside an agent that runs -> (exit code, a word of what is said)."""
BY_THEMSELVES = ("run", "record", "replay", "discover", "learn")
"""Tried below, each in its own way; `run` is the agent beside which all others are asked."""


def test_every_command_is_tried() -> None:
    tried = {typed.split()[0] for typed in ASKED} - {"--version"}
    assert {*command.COMMANDS, *command.GROUPS} - set(BY_THEMSELVES) == tried


@pytest.mark.parametrize("typed", ASKED)
def test_a_command_of_the_package(package: Package, floor: Path, typed: str) -> None:
    code, word = ASKED[typed]
    found, said = package.run(typed, floor)
    assert (found, word in said) == (code, True), said


def test_discover_of_the_package(package: Package, floor: Path) -> None:
    port = next(
        int(line.split()[-1]) for line in (floor / "agent.toml").read_text().splitlines() if "port" in line
    )
    user, over = User(port), threading.Event()

    def talk() -> None:
        while not over.wait(0.1):
            user.publish("hall/oven/temp", b"180.5")

    talking = threading.Thread(target=talk)
    talking.start()
    try:
        code, said = package.run("discover -c agent.toml --seconds 1.5", floor)
    finally:
        over.set()
        talking.join()
        user.close()
    assert (code, "{channel}" in said, '"oven"' in said) == (0, True, True), said


def test_replay_of_the_package(package: Package, floor: Path) -> None:
    lines = [
        f"2026-03-02T06:{at // 60:02}:{at % 60:02}Z,{5 + at % 7 / 10},{40 + at % 5}" for at in range(500)
    ]
    (floor / "press.csv").write_text("\n".join(["time,p,f", *lines]) + "\n")
    code, said = package.run(f"replay --commission-rows {ROWS} --out out press.csv", floor)
    assert (code, "press" in said) == (0, True), said
    assert (floor / "out" / "press.scores.parquet").is_file()


def test_record_of_the_package(package: Package, floor: Path) -> None:
    with package.popen("record -c agent.toml", floor) as recorder:
        try:
            assert recorder.stderr is not None
            assert json.loads(recorder.stderr.readline())["event"] == "recording"
            recorder.send_signal(signal.SIGTERM)
            assert recorder.wait(60) == 0
        finally:
            recorder.kill()
