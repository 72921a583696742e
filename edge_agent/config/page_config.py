"""The section `[page]` of the configuration. Parsing only: see `config` for the file, `page` for what it does."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

_PORT_MAX = 65_535


class Page(BaseModel):
    """The page for people: where it is served, by which names, and the token that lets somebody command."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, hide_input_in_errors=True)

    enabled: bool = False
    listen: str = "127.0.0.1:9109"
    names: Annotated[tuple[str, ...], Field(max_length=20)] = ()
    token_file: Path | None = None

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        split(value)
        return value

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return split(self.listen)


def split(listen: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` in its parts.

    Raises:
        ValueError: it is neither.
    """
    host, colon, port = listen.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not (colon and bare and port.isascii() and port.isdigit() and int(port) <= _PORT_MAX):
        raise ValueError("is host:port, [v6 address]:port for IPv6")
    if (":" in bare) != host.startswith("["):
        raise ValueError("an IPv6 address stands in brackets, and nothing else does")
    return bare, int(port)
