"""The command `doctor`."""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from edge_agent.cli.options import NOT_WELL, AsJson, ConfigFile, client_id


def doctor(
    config: ConfigFile = None,
    *,
    seconds: Annotated[
        float, typer.Option(help="How long to listen to the sensors.", min=0.5, max=3600)
    ] = 3.0,
    as_json: AsJson = False,
) -> None:
    """Examine broker, TLS, login, clock, disk, model and permissions, and say what to do; ends with 10 on a failure."""
    from edge_agent.cli.doctor import findings
    from edge_agent.cli.doctor.checks import check_all
    from edge_agent.cli.tables import show
    from edge_agent.logs import set_up_logs

    set_up_logs(level="error", form="auto")
    found = []
    for finding in check_all(config, client_id=client_id("doctor"), listen_s=seconds, now=datetime.now(UTC)):
        found.append(finding)
        if not as_json:
            show(findings.row(finding))
    if as_json:
        sys.stdout.write(json.dumps(findings.table(found), indent=2) + "\n")
    if findings.worst(found) == "fail":
        raise typer.Exit(NOT_WELL)
