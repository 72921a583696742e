"""The section of the configuration about the MQTT broker. No file is read here, no connection made."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from edge_agent.config.sections import Count, Port, Seconds, Section

BROKER_FILES = ("username_file", "password_file", "tls_ca_file", "tls_cert_file", "tls_key_file")


class BrokerSection(Section):
    """The MQTT broker, and what to do when it is faster than this machine."""

    host: str = "localhost"
    port: Port = 1883
    client_id: str = ""
    username: str = ""
    username_file: Path | None = None
    password_file: Path | None = None
    tls: bool = False
    tls_ca_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_insecure: bool = False
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    retry_max_s: Annotated[int, Field(ge=1, le=3600)] = 5
    queue_messages: Count = 20_000
    queue_bytes: Count = 10_000_000
    shed_after_s: Seconds = 30.0
    longest_wait_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 1.0

    @model_validator(mode="after")
    def _password_has_a_user(self) -> Self:
        if self.username and self.username_file is not None:
            raise ValueError("username and username_file exclude each other")
        if self.password_file is not None and not (self.username or self.username_file):
            raise ValueError("password_file needs username or username_file")
        return self

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> Self:
        if self.tls_key_file is not None and self.tls_cert_file is None:
            raise ValueError("tls_key_file needs tls_cert_file")
        if self.tls_insecure and not self.uses_tls:
            raise ValueError("tls_insecure needs tls")
        return self

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, value: str) -> str:
        if not value or not value.isprintable() or set(value) & set("@/ "):
            raise ValueError("is a name or an address alone; user and password have settings of their own")
        return value

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted: asked for, or any of its files is named."""
        return self.tls or self.tls_ca_file is not None or self.tls_cert_file is not None

    @property
    def protection(self) -> str:
        """How the connection is protected, for people."""
        if not self.uses_tls:
            return ""
        ours = ", with a certificate of our own" if self.tls_cert_file else ""
        return f" over TLS{ours}" + (", THE BROKER'S NAME IS NOT CHECKED" if self.tls_insecure else "")
