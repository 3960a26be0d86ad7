"""A broker URL, read exactly as Celery (kombu) reads it.

The operator must look where the application publishes: a URL that the two
understand differently reads an empty database for ever. So kombu's rules hold
here, also where they surprise (``rediss://`` without options does not verify the
certificate). What comes out is frozen and hashable, for TaskQueues are grouped
by it, and it never shows a password.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379

_CERT_REQS = {
    "CERT_REQUIRED": "required",
    "CERT_OPTIONAL": "optional",
    "CERT_NONE": "none",
    "required": "required",
    "optional": "optional",
    "none": "none",
}
"""The spellings of ``ssl_cert_reqs`` that kombu takes, and redis-py's for each."""

_TLS_OPTIONS = {
    "ssl_cert_reqs",
    "ssl_ca_certs",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_check_hostname",
}

_HINT = (
    "write redis://[user:password@]host[:port]/[database number], with special characters "
    "of the user and the password percent-encoded"
)


class AddressError(ValueError):
    """A broker URL that cannot be used, as a sentence that names the mend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls:
    """How the connection is encrypted and whom it trusts."""

    cert_reqs: str = "required"
    """``required``, ``optional`` or ``none``."""
    ca_certs: str | None = None
    """A file of CA certificates; None means the system's."""
    certfile: str | None = None
    keyfile: str | None = None
    check_hostname: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerAddress:
    """One Redis database: where it is and how one gets in. ``str()`` is safe to show."""

    hosts: tuple[tuple[str, int], ...] = ()
    """(host, port): exactly one, or for Sentinel every sentinel; empty for a socket."""
    socket_path: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    master_name: str | None = None
    """Set for Sentinel: the name under which the sentinels know the server."""

    def __str__(self) -> str:
        user = f"{self.username}@" if self.username else ""
        if self.socket_path is not None:
            return f"redis+socket://{user}{self.socket_path}?virtual_host={self.db}"
        places = ";".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts
        )
        if self.master_name is not None:
            return f"sentinel://{user}{places}/{self.db}?master_name={self.master_name}"
        return f"{'rediss' if self.tls else 'redis'}://{user}{places}/{self.db}"


def parse_address(url: str) -> BrokerAddress:
    """Read a broker URL.

    Known are ``redis://``, ``rediss://``, ``redis+socket:///path?virtual_host=0``
    and ``sentinel://a:26379;sentinel://b:26379/0?master_name=mymaster``. kombu
    takes the master's name from the transport options; a URL has no such place,
    so here it is a parameter.

    Raises:
        AddressError: it cannot be used; the message names the mend, and no password.
    """
    if "://" not in url:
        raise AddressError(f"a broker URL needs a scheme; {_HINT}")
    scheme = url.partition("://")[0]
    match scheme:
        case "sentinel":
            return _sentinel(url)
        case "redis" | "rediss":
            if ";" in url:
                raise AddressError(
                    "several brokers in one URL (separated by «;») are read only for "
                    "sentinel://; give the one that the workers use"
                )
            return _server(url)
        case "redis+socket":
            return _socket(url)
        case "unix":
            raise AddressError(
                "Celery does not know unix://; write redis+socket:///path/to/redis.sock"
                "?virtual_host=0, here and in the application"
            )
        case "redis+cluster" | "rediscluster":
            raise AddressError(
                "Celery does not run on Redis Cluster; give a single server or Sentinel"
            )
        case _:
            raise AddressError(f"Sluiceway serves Celery on Redis, not {scheme}://; {_HINT}")


def with_master_name(url: str, name: str | None) -> str:
    """A Sentinel's URL with the server's name at its end; every other stays as it is."""
    if not name or not url.startswith("sentinel://") or "master_name=" in url:
        return url
    glue = "&" if "?" in url.rpartition(";")[2] else "?"
    return f"{url}{glue}master_name={quote(name, safe='')}"


def _server(url: str) -> BrokerAddress:
    parts, query = _split(url)
    return BrokerAddress(
        hosts=(_host(parts, DEFAULT_PORT),),
        db=_db(parts.path),
        tls=_tls(parts.scheme, query),
        username=_text(parts.username),
        password=_text(parts.password),
    )


def _socket(url: str) -> BrokerAddress:
    parts, query = _split(url)
    if not parts.path.strip("/"):
        raise AddressError(
            "redis+socket:// needs a path; write redis+socket:///path/to/redis.sock?virtual_host=0"
        )
    return BrokerAddress(
        socket_path=unquote(parts.path),
        db=_db(query.get("virtual_host", "")),
        username=_text(parts.username),
        password=_text(parts.password),
    )


def _sentinel(url: str) -> BrokerAddress:
    # Database, user and parameters may stand with any of the addresses; kombu
    # itself takes them from the first.
    pieces = [_split(piece) for piece in url.split(";") if piece]
    if any(parts.scheme != "sentinel" for parts, _ in pieces):
        raise AddressError(
            "each address of a sentinel URL starts with sentinel://, separated by «;»: "
            "sentinel://a:26379;sentinel://b:26379/0?master_name=mymaster"
        )
    query = {name: value for _, found in pieces for name, value in found.items()}
    master_name = query.pop("master_name", None)
    if not master_name:
        raise AddressError(
            "a sentinel URL needs the master's name; write broker.masterName, or append "
            "?master_name=mymaster (the master_name of the application's broker_transport_options)"
        )
    login = next((parts for parts, _ in pieces if parts.username or parts.password), pieces[0][0])
    paths = [parts.path for parts, _ in pieces if parts.path.strip("/")]
    return BrokerAddress(
        hosts=tuple(_host(parts, DEFAULT_SENTINEL_PORT) for parts, _ in pieces),
        db=_db(paths[0] if paths else ""),
        tls=_tls("sentinel", query),
        master_name=master_name,
        username=_text(login.username),
        password=_text(login.password),
    )


def _split(url: str) -> tuple[SplitResult, dict[str, str]]:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        # The error of the library quotes the piece that it could not read, and
        # with an unquoted «/» or «#» that piece is the password.
        raise AddressError(f"host or port of the broker URL cannot be read; {_HINT}") from None
    if parts.fragment:
        raise AddressError(f"the broker URL contains «#»; {_HINT}")
    return parts, dict(parse_qsl(parts.query))


def _host(parts: SplitResult, default_port: int) -> tuple[str, int]:
    return unquote(parts.hostname or "127.0.0.1"), parts.port or default_port


def _text(quoted: str | None) -> str | None:
    return unquote(quoted or "") or None


def _db(path: str) -> int:
    number = unquote(path).strip("/")
    if not number:
        return 0
    if not (number.isascii() and number.isdigit()):
        raise AddressError(
            "the database is a number, as in redis://host:6379/0; "
            "the broker URL has something else after the host"
        )
    return int(number)


def _tls(scheme: str, query: dict[str, str]) -> Tls | None:
    """kombu's rule: any ``ssl_`` parameter turns TLS on, ``rediss`` alone does not verify."""
    options = {name: value for name, value in query.items() if name.startswith("ssl_")}
    if not options:
        return Tls(cert_reqs="none", check_hostname=False) if scheme == "rediss" else None
    unknown = sorted(set(options) - _TLS_OPTIONS)
    if unknown:
        raise AddressError(
            f"{unknown[0]} is not known here; of TLS, ssl_cert_reqs, ssl_ca_certs, "
            "ssl_certfile, ssl_keyfile and ssl_check_hostname are read"
        )
    asked = options.get("ssl_cert_reqs", "required")
    if asked not in _CERT_REQS:
        raise AddressError(f"ssl_cert_reqs={asked} is not known; write required, optional or none")
    cert_reqs = _CERT_REQS[asked]
    hostname = options.get("ssl_check_hostname", "true").lower() != "false"
    return Tls(
        cert_reqs=cert_reqs,
        check_hostname=hostname and cert_reqs != "none",
        ca_certs=options.get("ssl_ca_certs"),
        certfile=options.get("ssl_certfile"),
        keyfile=options.get("ssl_keyfile"),
    )
