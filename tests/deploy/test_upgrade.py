"""The package of an earlier commit in a booted Debian 12: upgraded, rolled back and upgraded again by dpkg.

Each step begins where the last one ended. The earlier package is built from that commit by its own build script, once.
"""

import base64
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness.user import FAULT_SHIFT
from deploy.package import build
from tests.deploy.container import Container, missing, until
from tests.golden.versions import story
from tests.golden.versions.record import checkout
from tests.golden.versions.story import ACKNOWLEDGED, FAULT, LABELLED, MACHINES, SHELVED, Known

pytestmark = [pytest.mark.service, pytest.mark.timeout(1200)]
ROOT = Path(__file__).parents[2]
EARLIER = "dc23620"
CONFIG = f"""\
[broker]
username = "edge-agent"
password_file = "credential:mqtt_password"
[commission]
rows = {story.LEARN_ROWS}
"""
STATE = "/var/lib/private/edge-agent"


@pytest.fixture(scope="module")
def box() -> Iterator[Container]:
    if reason := missing():
        pytest.skip(reason)
    container = Container()
    try:
        yield container
    finally:
        container.close()


@pytest.fixture(scope="module")
def before() -> list[Known]:
    """What was known when the earlier package had done its part."""
    return []


def earlier_package() -> bytes:
    """Built once, by the commit's own script."""
    made = ROOT / f"dist/{EARLIER}.deb"
    if not made.is_file():
        tree = ROOT / f"build/{EARLIER}"
        shutil.rmtree(tree, ignore_errors=True)
        try:
            checkout(EARLIER, tree, ".")
        except LookupError as error:
            pytest.skip(str(error))
        subprocess.run([sys.executable, "deploy/package/build.py"], check=True, cwd=tree)
        (built,) = (tree / "dist").glob("*_amd64.deb")
        made.parent.mkdir(exist_ok=True)
        shutil.copy(built, made)
    return made.read_bytes()


def todays_package() -> bytes:
    """Packed from the stage of `make deb`, as a revision that is later."""
    stage = ROOT / "build/deb/amd64-3.11"
    if not stage.is_dir():
        pytest.skip("build the package first: make deb")
    return Path(build.pack(stage, arch="amd64", python="3.11", revision=2, out=ROOT / "dist")).read_bytes()


def install(box: Container, package: bytes) -> None:
    """As an operator does who keeps his configuration; the unit is restarted by the package, or started here."""
    box.put("/root/edge-agent.deb", package)
    box.run("dpkg --force-confold -i /root/edge-agent.deb")
    box.run("systemctl start edge-agent")
    until(lambda: status(box).get("state") == "online", "not online")


def status(box: Container) -> dict[str, object]:
    return box.seen("agents/edge-agent/status")


def publish(box: Container, machine: str, first: int, last: int, *, shift: float = 0.0) -> None:
    given = b"\n".join(story.payloads(first, last, shift=shift)).decode() + "\n"
    box.run(f"mosquitto_pub -u plc -P sensor -q 1 -t sensors/{machine} -l", given=given)


def kept(box: Container) -> list[bytes]:
    """Alerts that the broker keeps."""
    told = box.run("mosquitto_sub -u anna -P operator -t 'alerts/+/+' -W 2 -F %p", ok=False)
    return [line.encode() for line in told.splitlines() if line.startswith("{")]


def alarm_of(box: Container, machine: str) -> str:
    """The id of its open alarm; "" where none is open."""
    return story.known({}, kept(box)).open.get(machine, "")


def ask(box: Container, command: str, **arguments: object) -> None:
    """Give a command that must be obeyed."""
    reply = box.popen(f"mosquitto_sub -u anna -P operator -t agents/edge-agent/reply/{command} -C 1 -W 30")
    payload = json.dumps({"id": command, "by": story.BY, **arguments})
    topic = f"agents/edge-agent/cmd/{command}"

    def answered() -> bool:
        box.run(f"mosquitto_pub -u anna -P operator -q 1 -t {topic} -s", given=payload)
        return reply.poll() is not None

    until(answered, f"no reply to {command}")
    said, _ = reply.communicate(timeout=30)
    assert json.loads(said)["result"] == "done", said


def names(box: Container, folder: Path) -> list[str]:
    """Faults of all named alarms."""
    raw = base64.b64decode(box.run(f"tar -C {STATE} -cf - faults | base64 -w 0"))
    shutil.rmtree(folder / "faults", ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        archive.extractall(folder, filter="data")
    return [fault for _, fault in story.named(folder)]


def test_the_earlier_package_learns(box: Container, before: list[Known], tmp_path: Path) -> None:
    box.put("/root/edge-agent.deb", earlier_package())
    box.run("dpkg -i /root/edge-agent.deb")
    box.run("cp /usr/share/doc/edge-agent/examples/mosquitto/edge-agent.acl /etc/mosquitto/")
    box.run("cp /usr/share/doc/edge-agent/examples/mosquitto/*.conf /etc/mosquitto/conf.d/")
    for flag, user, password in (
        ("-c", "edge-agent", "own"),
        ("", "plc", "sensor"),
        ("", "anna", "operator"),
    ):
        box.run(f"mosquitto_passwd -b {flag} /etc/mosquitto/edge-agent.passwd {user} {password}")
    box.run("chown mosquitto: /etc/mosquitto/edge-agent.*; systemctl restart mosquitto")
    box.put("/etc/edge-agent/agent.toml", CONFIG.encode())
    box.put("/etc/edge-agent/credentials/password", b"own")
    box.run("systemctl enable --now edge-agent")
    until(lambda: status(box).get("state") == "online", "not online")
    for name in MACHINES:
        publish(box, name, 0, story.CALM_UNTIL)
    until(lambda: story.known(status(box), ()).ready == MACHINES, "not learnt")
    for name in MACHINES:
        publish(box, name, story.CALM_UNTIL, story.FAULT_UNTIL, shift=FAULT_SHIFT)
        until(lambda name=name: alarm_of(box, name), f"no alarm of {name}")  # type: ignore[misc]
    ask(box, "label", alarm=alarm_of(box, LABELLED), fault=FAULT)
    ask(box, "ack", alarm=alarm_of(box, ACKNOWLEDGED), comment=story.COMMENT)
    ask(box, "shelve", machine=SHELVED, for_s=36_000)
    publish(box, LABELLED, story.FAULT_UNTIL, story.CALM_AGAIN)
    until(lambda: not alarm_of(box, LABELLED), "the named alarm does not end")
    before.append(story.known(status(box), kept(box)))
    assert before[0].open.keys() == {ACKNOWLEDGED, SHELVED}
    assert names(box, tmp_path) == [FAULT]


@pytest.mark.parametrize("which", ["upgraded", "rolled back", "upgraded again"])
def test_all_is_kept(box: Container, before: list[Known], tmp_path: Path, which: str) -> None:
    install(box, earlier_package() if which == "rolled back" else todays_package())
    assert box.run("cat /etc/edge-agent/agent.toml") == CONFIG.strip()
    until(lambda: story.known(status(box), ()).ready == MACHINES, "not all are watched")
    assert story.known(status(box), kept(box)) == before[0]
    assert names(box, tmp_path) == [FAULT]
    assert box.property("NRestarts") == "0"
