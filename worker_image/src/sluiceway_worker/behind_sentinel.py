"""A broker behind Sentinel, told by its address alone.

A TaskQueue's address ends with the name under which the Sentinels know the server:
``sentinel://a:26379;sentinel://b:26379/0?master_name=mymaster``. kombu wants that name among
its transport options, and ends with a TypeError where an address has it. And it reads
database, user and password anew from each of the addresses when it goes on to the next one,
as it does while no server answers. So what workers are given in their environment is put
into the form that kombu means, before it reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import MutableMapping

BROKER_VARIABLES = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")
"""Celery prefers these to what the application sets."""

ENV_MASTER_NAME = "SLUICEWAY_MASTER_NAME"
"""The name under which the Sentinels know the broker."""

_SCHEME = "sentinel://"
_OPTION = "master_name"


def settle_addresses(environ: MutableMapping[str, str]) -> None:
    """Put Sentinel's addresses into kombu's form, and keep the server's name beside them.

    Args:
        environ: the process' environment, which a restart by SIGHUP inherits.
    """
    for variable in BROKER_VARIABLES:
        url = environ.get(variable, "")
        if url.startswith(_SCHEME):
            environ[variable], name = for_kombu(url)
            if name:
                environ[ENV_MASTER_NAME] = name


def for_kombu(url: str) -> tuple[str, str]:
    """The same addresses as kombu takes them, and the server's name; "" where it has none.

    Each of them gets the database, the login and the options that one of them has.
    """
    pieces = [urlsplit(piece) for piece in url.split(";") if piece]
    options = {name: value for one in pieces for name, value in parse_qsl(one.query)}
    name = options.pop(_OPTION, "")
    logins = [one.netloc.rpartition("@")[0] for one in pieces]
    login = next((f"{one}@" for one in logins if one), "")
    path = next((one.path for one in pieces if one.path.strip("/")), "")
    query = f"?{urlencode(options)}" if options else ""
    hosts = [one.netloc.rpartition("@")[2] for one in pieces]
    return ";".join(f"{_SCHEME}{login}{host}{path}{query}" for host in hosts), name


def name_the_server(conf: Any, environ: MutableMapping[str, str]) -> None:
    """Add the name to the application's transport options, unless they have one.

    Args:
        conf: the application's settings.
    """
    name = environ.get(ENV_MASTER_NAME)
    options = dict(conf.broker_transport_options or {})
    if name and not options.get(_OPTION):
        conf.broker_transport_options = {**options, _OPTION: name}
