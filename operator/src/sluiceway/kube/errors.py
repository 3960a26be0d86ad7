"""What went wrong at the API server, as a sentence that names the mend.

The HTTP client's messages are for its own users, and the API server's replies are
objects. This is the one place that knows both; everybody else sees a ``KubeError``.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import aiohttp
import msgspec
import yaml
from kubernetes.aio.config.config_exception import ConfigException

GONE = 410
CONFLICT = 409
NOT_FOUND = 404


class _Details(msgspec.Struct, rename="camel"):
    retry_after_seconds: int = 0


class Status(msgspec.Struct, rename="camel"):
    """What an API server sends in place of what was asked for (meta/v1 Status)."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = None


class KubeError(Exception):
    """The API server could not be asked, or said no; ``str()`` is the sentence."""

    def __init__(
        self,
        sentence: str,
        *,
        status: int | None = None,
        reason: str = "",
        retry_after_s: float = 0.0,
    ) -> None:
        """Keep what a caller may act on.

        Args:
            status: the HTTP code; None where no answer came.
            reason: the API's own word for it, such as ``AlreadyExists``.
            retry_after_s: how long it asks to be left alone, seconds.
        """
        super().__init__(sentence)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s


UNUSABLE = (
    *(ConfigException, OSError, yaml.YAMLError),
    *(AttributeError, KeyError, TypeError, ValueError),
)
"""What reading a kubeconfig raises: the library looks into it without asking what it is."""


def unusable(kubeconfig: Path | None, exc: BaseException) -> KubeError:
    """From one of ``UNUSABLE``.

    Args:
        kubeconfig: None for the pod's service account.
    """
    if kubeconfig is not None and not kubeconfig.exists():
        return KubeError(
            f"kubeconfig {kubeconfig} cannot be used: there is no such file; name another with "
            "--kubeconfig, or in KUBECONFIG"
        )
    where = f"kubeconfig {kubeconfig}" if kubeconfig else "the pod's service account"
    expected = isinstance(exc, (ConfigException, OSError, yaml.YAMLError))
    why = " ".join(str(exc).split()) if expected else "it is no kubeconfig"
    return KubeError(f"{where} cannot be used: {why}")


def unanswered(exc: BaseException, server: str) -> KubeError:
    """From what the HTTP client raised when no answer came."""
    return KubeError(f"API server {server}: {_cause(exc)}")


def refused(status: int, body: bytes, retry_after: str | None, server: str) -> KubeError:
    """From an answer that is an error.

    Args:
        body: a Status as JSON, or whatever a proxy in between had to say.
        retry_after: the header of that name.
    """
    try:
        said = msgspec.json.decode(body, type=Status)
    except msgspec.DecodeError:
        said = Status(message=body[:200].decode(errors="replace").strip())
    said.code = said.code or status
    if retry_after is not None and retry_after.isdecimal():
        said.details = _Details(int(retry_after))
    return said_no(said, server)


def said_no(said: Status, server: str) -> KubeError:
    """From a Status, which also comes in the middle of a watch."""
    return KubeError(
        f"API server {server}: {_refusal(said)}",
        status=said.code,
        reason=said.reason,
        retry_after_s=float(said.details.retry_after_seconds) if said.details else 0.0,
    )


def _refusal(said: Status) -> str:
    message = said.message.rstrip(".") or said.reason or f"HTTP {said.code}"
    match said.code:
        case 401:
            return f"it does not accept the credentials ({message})"
        # A quota or a policy answers 403, too.
        case 403 if " cannot " in message and "User " in message:
            return f"a permission is missing ({message}); see the Role in the reference"
        case 410:
            return f"it no longer has what happened since ({message})"
        case 429:
            return f"it asks to wait ({message})"
        case code if code >= 500:
            return f"it has a problem of its own ({message})"
        case _:
            return f"it refuses: {message}"


def _cause(exc: BaseException) -> str:
    match exc:
        case aiohttp.ClientConnectorCertificateError():
            return (
                f"its certificate is not trusted ({exc.certificate_error}); check the "
                "kubeconfig's certificate-authority"
            )
        case aiohttp.ClientConnectorError() if isinstance(exc.os_error, socket.gaierror):
            return "its host name cannot be resolved"
        case aiohttp.ClientConnectorError() if isinstance(exc.os_error, ConnectionRefusedError):
            return "nothing listens there (connection refused)"
        case TimeoutError():
            return "it does not answer in time; it is slow, or cut off from here"
        case (
            aiohttp.ClientPayloadError()
            | ConnectionResetError()
            | aiohttp.ServerDisconnectedError()
        ):
            return "the connection broke"
        case ConfigException():
            return f"the credentials cannot be read ({exc})"
        case ssl.SSLError() | aiohttp.ClientError() | OSError():
            return f"the connection failed ({exc})"
        case _:
            return f"{type(exc).__name__}: {exc}"
