"""What the agent shows at the broker's door: user, password, certificates. Read at every connection, never kept.

Files that were exchanged count from the next connection on, without a restart. Nothing here logs, and no value with a
secret in it has a printable form: errors name the file and never what is in it.
"""

import logging
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

_SECRET_LIMIT_BYTES = 8192
_NO_PASSPHRASE = ""
"""OpenSSL would otherwise ask the terminal for the passphrase of an encrypted key, and wait."""


@dataclass(frozen=True, slots=True)
class Login:
    """User and password; a file is read when it is needed."""

    username: str = ""
    username_file: Path | None = None
    password_file: Path | None = None

    def read(self) -> tuple[str, str | None]:
        """The user and the password as they are now.

        Raises:
            OSError: a file cannot be read, is too long or not UTF-8.
        """
        username = self.username if self.username_file is None else _secret(self.username_file)
        return username, None if self.password_file is None else _secret(self.password_file)


@dataclass(frozen=True, slots=True)
class Tls:
    """How the broker is checked, and with what we are.

    Attributes:
        ca_file: who may sign the broker's certificate; the system's authorities where None.
        cert_file, key_file: our own certificate, for brokers that want one.
        check_host: whether the broker's certificate must be made out to the host that we call.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    check_host: bool = True

    def context(self) -> ssl.SSLContext:
        """The files as they are now, as a context of TLS 1.2 or later.

        Raises:
            OSError: a file cannot be read or does not hold what it should; names the file.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = self.check_host
        try:
            if self.ca_file is None:
                context.load_default_certs()
            else:
                context.load_verify_locations(self.ca_file)
        except OSError as error:
            raise OSError(f"{self.ca_file}: no usable CA certificates ({_reason(error)})") from error
        if self.cert_file is not None:
            try:
                context.load_cert_chain(self.cert_file, self.key_file, password=_NO_PASSPHRASE)
            except (OSError, ValueError) as error:
                raise OSError(
                    f"{self.cert_file}: no usable certificate and key ({_reason(error)})"
                ) from error
        return context


class FreshContext:
    """What paho takes for a context: makes a new one of the files at every connection."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._last: ssl.SSLSocket | None = None

    @property
    def check_hostname(self) -> bool:
        """Whether the handshake itself checks the host."""
        return self._tls.check_host

    def wrap_socket(
        self,
        sock: socket.socket,
        server_hostname: str | None = None,
        do_handshake_on_connect: bool = True,  # noqa: FBT001, FBT002 - the form that paho calls
    ) -> ssl.SSLSocket:
        """As `ssl.SSLContext.wrap_socket`.

        Raises:
            OSError: a file cannot be used; the connection is tried again later.
        """
        self.close()
        try:
            context = self._tls.context()
            self._last = context.wrap_socket(
                sock, server_hostname=server_hostname, do_handshake_on_connect=do_handshake_on_connect
            )
        except BaseException:
            sock.close()
            raise
        return self._last

    def close(self) -> None:
        """Close the socket given last: paho forgets one whose handshake failed, and the broker would wait for it."""
        if self._last is not None:
            self._last.close()
            self._last = None


class LastError(logging.Handler):
    """Why the door stayed shut: the last error of a library's logger of our own, which is in no tree of loggers.

    Of a handshake that fails late paho tells nobody else.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""
        self.logger = logging.Logger("paho", logging.ERROR)  # noqa: LOG001 - one a connection
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message, cut to a length fit for a log line."""
        self.text = record.getMessage()[:300]


def _secret(path: Path) -> str:
    """One line of text, without its end."""
    try:
        with path.open("rb") as file:
            raw = file.read(_SECRET_LIMIT_BYTES + 1)
    except OSError as error:
        raise OSError(f"{path}: cannot be read ({_reason(error)})") from error
    if len(raw) > _SECRET_LIMIT_BYTES:
        raise OSError(f"{path}: longer than {_SECRET_LIMIT_BYTES} bytes")
    try:
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise OSError(f"{path}: cannot be read as UTF-8 text") from None  # the error would quote the bytes


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
