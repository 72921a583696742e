"""Node-RED as a peer: a flow from MQTT (QoS 1) through a function node, 5-sigma a machine and channel, to MQTT.

`make node-red` installs it from npm into `benchmarks/.cache`; nothing of it is kept in the repository but the flow.
Unlike the other readers it acknowledges a message before it has judged it: so its MQTT node works.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from benchmarks import ROOT

HERE = Path(__file__).parent
PACKAGE = ROOT / "benchmarks/.cache/node-red/node_modules/node-red"


def absent() -> str | None:
    """Why it cannot be started here; None where it can."""
    if shutil.which("node") is None:
        return "there is no node here"
    return None if (PACKAGE / "red.js").is_file() else "not installed: make node-red"


def command(folder: Path, port: int) -> tuple[list[str], Mapping[str, str]]:
    """(command, environment) that run the flow at a broker's port, with a folder for Node-RED's own files."""
    nodes = json.loads((HERE / "flow.json").read_text(encoding="utf-8"))
    for node in nodes:
        if node["id"] == "judge":
            node["func"] = (HERE / "judge.js").read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flow.json").write_text(json.dumps(nodes), encoding="utf-8")
    told = ["-u", str(folder), "-s", str(HERE / "settings.js"), str(folder / "flow.json")]
    return ["node", str(PACKAGE / "red.js"), *told], os.environ | {"MQTT_PORT": str(port)}


def version() -> str | None:
    """Of the package; None where it is not installed."""
    if absent() is not None:
        return None
    told = json.loads((PACKAGE / "package.json").read_text(encoding="utf-8"))
    return str(told["version"])
