"""The runtime is told to report its use to nobody before it is loaded."""

import os
import subprocess
import sys
from pathlib import Path


def test_loading_the_scorer_leaves_no_device_id_behind(tmp_path: Path) -> None:
    """onnxruntime 1.32 writes one below the home folder as soon as it is imported with its reports switched on."""
    kept = {name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "CI")}
    environment = kept | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", "import edge_agent.detect.scorer"], env=environment, check=True)
    assert list(tmp_path.rglob("deviceid")) == []
