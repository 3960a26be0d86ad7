"""What went wrong with a broker, as a sentence that names the mend.

The client library's messages are for its own users; whoever reads a TaskQueue's
status has never seen that library. This is the one place that knows its
exceptions.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from redis import exceptions as client
from redis.asyncio.sentinel import MasterNotFoundError

from sluiceway.broker.address import BrokerAddress
from sluiceway.broker.facts import UnusableBrokerError

_NOT_PERMITTED = ("permission", "ACL failure", "user executing the script")
"""Inside a script a missing permission comes as any other error of the script; the last
words are those of Redis 6 and 7.0."""


class BrokerError(Exception):
    """The broker could not be asked; ``str()`` is the sentence."""


def sentence(exc: BaseException, address: BrokerAddress) -> str:
    """Say what ``exc`` means for whoever has to mend it. Never contains a password."""
    if isinstance(exc, BrokerError):
        return str(exc)
    return f"broker {address}: {_cause(exc, encrypted=address.tls is not None)}"


def key_problem(reply: bytes, *, wanted: str) -> str:
    """Say why a read script could not read one key.

    Args:
        reply: ``<key>\\n<error>``, as the scripts return it.
        wanted: the type that the key should have.
    """
    key, _, error = reply.decode("utf-8", "backslashreplace").rpartition("\n")
    # kombu's separator consists of control characters.
    shown = key.encode("unicode_escape").decode()
    if "WRONGTYPE" in error:
        return (
            f"the key {shown} is no {wanted}; something else uses that name, "
            "or the database number or the key prefix is wrong"
        )
    if any(words in error for words in _NOT_PERMITTED):
        return (
            f"the broker's user may not read the key {shown} ({error}); "
            "see the ACL in the reference"
        )
    return f"the key {shown} cannot be read ({error})"


def _cause(exc: BaseException, *, encrypted: bool) -> str:
    for cause in _chain(exc):
        match cause:
            case UnusableBrokerError():
                return str(cause)
            case ssl.SSLCertVerificationError():
                return (
                    f"its certificate is not trusted ({cause.verify_message}); "
                    "give its CA with ?ssl_ca_certs=/path/to/ca.crt"
                )
            case ssl.SSLError():
                return (
                    "no TLS there; write redis:// in place of rediss://, "
                    "or turn TLS on at the server"
                )
            case MasterNotFoundError():
                return _no_primary(cause)
            case UnicodeError():
                return (
                    "the host name is none: a part of it is empty or has more than 63 characters; "
                    "check its spelling"
                )
            case socket.gaierror():
                return f"the host name cannot be resolved ({cause.strerror}); check its spelling"
            case FileNotFoundError():
                return "there is no such certificate file or socket; check the path"
            case ConnectionRefusedError():
                return (
                    "nothing listens there (connection refused); "
                    "is it running, are host and port right?"
                )
    if encrypted and isinstance(exc, (client.TimeoutError, TimeoutError)):
        # A plain server waits for the rest of what it takes for a command.
        return "it does not answer in time; it is slow, or does not speak TLS (then: redis://)"
    if not encrypted and type(exc) is client.ConnectionError:
        return f"the connection failed ({exc}); if the server wants TLS, write rediss://"
    return _reply(exc)


def _no_primary(exc: MasterNotFoundError) -> str:
    """The client's own words show the insides of its connections."""
    if " : " in str(exc):
        return "no Sentinel that answers knows of a primary by that name, and not all answer"
    return (
        "its Sentinels know of no primary by that name; where it is down, another is about to "
        "lead; where the name is wrong, write broker.masterName as in the application's "
        "broker_transport_options"
    )


def _reply(exc: BaseException) -> str:
    """What the server itself said, or that it said nothing."""
    match exc:
        case client.BusyLoadingError():
            return "it is loading its data set; it will answer when that is done"
        case client.AuthenticationError() | client.AuthorizationError():
            return f"it refuses the user or the password ({exc})"
        case client.NoPermissionError():
            return f"a permission is missing ({exc}); see the ACL in the reference"
        case client.TimeoutError() | TimeoutError():
            return "it does not answer in time; it is slow, paused or cut off from here"
        case client.MasterDownError():
            return "it is a replica that has lost its primary"
        case client.InvalidResponse():
            return "what answers there is not Redis; check host and port"
        case client.ResponseError() if any(words in str(exc) for words in _NOT_PERMITTED):
            return f"a permission is missing ({exc}); see the ACL in the reference"
        case client.ResponseError() if "DB index" in str(exc):
            return "there is no database of that number; check the number at the end of the URL"
        case client.ResponseError():
            return f"it refuses: {exc}"
        case client.ConnectionError() | OSError():
            return f"the connection failed ({str(exc).rstrip('.')})"
        case _:
            return f"{type(exc).__name__}: {exc}"


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """The exception and what it was raised for: the client wraps the operating system's."""
    seen: set[int] = set()
    current: BaseException | None = exc
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
