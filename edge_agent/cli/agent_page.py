"""What an agent on this computer says on its metrics page and beside it, over HTTP."""

import json
import urllib.error
import urllib.request
from contextlib import suppress

from edge_agent.config.file import Config

_WAIT_S = 2.0
_LIMIT_BYTES = 16_000_000


def health(config: Config) -> list[str] | None:
    """What an agent that runs here says is amiss; None where nobody answers as one."""
    body = read_page(config, "/readyz")
    with suppress(ValueError):
        told = json.loads(body)
        if isinstance(told, dict) and isinstance(told.get("amiss"), list):
            return [str(word) for word in told["amiss"]]
    return None


def read_page(config: Config, path: str) -> bytes:
    """A page that the running agent serves beside its metrics; empty where nobody answers."""
    host, number = config.metrics.host, config.metrics.port
    shown = f"[{host}]" if ":" in host else host
    try:
        with urllib.request.urlopen(f"http://{shown}:{number}{path}", timeout=_WAIT_S) as answer:
            return bytes(answer.read(_LIMIT_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return bytes(error.read(_LIMIT_BYTES))
    except (OSError, ValueError):
        return b""
