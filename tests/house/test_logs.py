"""What logging brings into an agent's process, seen in a process of its own."""

import json
import subprocess
import sys

_MODULES = """
import json, sys
import edge_agent.cli.app, edge_agent.service.process, edge_agent.metrics.exporter
from edge_agent import logs
logs.set_up_logs(level="info", form="console")
logs.get_logger().info("hello")
before = "rich" in sys.modules
import rich
print(json.dumps([before, rich.__name__]))
"""


def test_an_agent_runs_without_rich_and_leaves_it_to_those_who_want_it() -> None:
    done = subprocess.run([sys.executable, "-c", _MODULES], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [False, "rich"]
    assert "hello" in done.stderr
