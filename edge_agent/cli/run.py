"""The command `run`: the agent itself."""

from edge_agent.cli.options import ConfigFile, configuration


def run(config: ConfigFile = None) -> None:
    """Connect to the broker and watch, until SIGTERM or Ctrl-C."""
    from edge_agent import logs
    from edge_agent.service import process

    settings = configuration(config)
    logs.set_up_logs(level=settings.log.level, form=settings.log.format)
    process.run(settings, reread=lambda: configuration(config))
