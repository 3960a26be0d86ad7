"""The one way to the API server: configuration, credentials, bounded requests, streams.

The Kubernetes client brings what is long to write well: kubeconfig, service account
tokens that change, TLS. Objects go past its models, which cost ten times as much as
the fields that are wanted here; they are decoded by whoever asked.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import getproxies

import aiohttp
from kubernetes.aio import config as kubeconfigs
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config.config_exception import ConfigException

from sluiceway.kube.errors import UNUSABLE, refused, unanswered, unusable
from sluiceway.kube.rate import Rate

IN_FLIGHT = 10
"""Requests at a time. Measured: more only lengthen the API server's queue."""
TIMEOUT_S = 10.0
"""For one request, its wait for a turn included."""
OPENING_S = 30.0
"""For a stream's connection, handshake and first word; the API server may queue it."""

_FAILURES = (aiohttp.ClientError, OSError, TimeoutError, ConfigException)
_USER_AGENT = "sluiceway"


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """Where the API server is and how to come in, for a client of another library."""

    server: str
    ca_path: str | None
    verify: bool
    token: str | None = field(repr=False)
    certificate_path: str | None
    private_key_path: str | None


class KubeClient:
    """Connections to one API server. Safe to share between coroutines."""

    def __init__(
        self, configuration: Configuration, kubeconfig: Path | None, rate: Rate | None = None
    ) -> None:
        """Use ``connect`` in place of this.

        Args:
            kubeconfig: where credentials are read again when they are refused; None for
                the service account's, which are read again by themselves.
            rate: bounds the requests a second; streams do not count.
        """
        self.told: Callable[[str, int | None], None] = lambda method, code: None
        """Told of each request's HTTP method (WATCH for a stream) and the answer's code;
        None where no answer came."""
        self._kubeconfig = kubeconfig
        self._api = ApiClient(configuration)
        self._api.user_agent = _USER_AGENT
        self._turns = asyncio.Semaphore(IN_FLIGHT)
        self._rate = rate
        self._distrusted = False

    @classmethod
    async def connect(cls, kubeconfig: Path | None = None, *, rate: Rate | None = None) -> Self:
        """Read the configuration; nothing is connected before the first request.

        Args:
            kubeconfig: None for what KUBECONFIG names, or else for the pod's service
                account, or else for ``~/.kube/config``.
            rate: None for as many requests a second as there are.

        Raises:
            KubeError: there is no usable configuration.
        """
        configuration = Configuration()
        # Turns bound the requests; each watch holds a connection for its whole life.
        configuration.connection_pool_maxsize = 0
        # With it aiohttp asks another thread at each request, also where there is nothing to find.
        configuration.client_session_kwargs = {"trust_env": bool(getproxies())}
        kubeconfig = kubeconfig or usual_kubeconfig()
        try:
            await _load(configuration, kubeconfig)
        except UNUSABLE as exc:
            raise unusable(kubeconfig, exc) from exc
        return cls(configuration, kubeconfig, rate)

    @property
    def server(self) -> str:
        """Its address, for sentences."""
        return str(self._api.configuration.host)

    async def connection(self) -> Connection:
        """The configuration as it is at this moment, its credentials read again.

        Raises:
            ConfigException: it can no longer be read.
        """
        now = self._api.configuration
        if self._kubeconfig is not None:
            await _load(now, self._kubeconfig)
        header = await now.get_api_key_with_prefix("BearerToken", alias="authorization")
        return Connection(
            server=self.server,
            ca_path=now.ssl_ca_cert,
            verify=now.verify_ssl,
            # «Bearer …» of a kubeconfig, «bearer …» of a service account.
            token=header.rpartition(" ")[2] if header else None,
            certificate_path=now.cert_file,
            private_key_path=now.key_file,
        )

    async def close(self) -> None:
        """Hang up; requests and streams under way fail."""
        await self._api.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float = TIMEOUT_S,
    ) -> bytes:
        """Ask once and return the answer's JSON. Nothing is tried again here.

        Args:
            path: below the server's address, such as ``/api/v1/pods``.
            body: what becomes JSON.

        Raises:
            KubeError: no answer within ``timeout_s``, or one that says no.
        """
        if self._rate is not None and (wait_s := self._rate.take(time.monotonic())) > 0:
            await asyncio.sleep(wait_s)
        try:
            async with asyncio.timeout(timeout_s), self._turns:
                response = await self._open(
                    method, path, query, body, content_type, aiohttp.ClientTimeout(total=timeout_s)
                )
                async with response:
                    return await response.read()
        except _FAILURES as exc:
            raise unanswered(exc, self.server) from exc

    @asynccontextmanager
    async def lines(
        self, path: str, *, query: Mapping[str, str], silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """A GET whose answer is read line by line for as long as it lasts.

        Entered once the server has agreed. The lines end where the server ends them.

        Args:
            silence_s: a connection that is silent for so long is taken for broken.

        Raises:
            KubeError: it said no, or the connection broke, also in the middle.
        """
        limits = aiohttp.ClientTimeout(total=None, sock_read=silence_s)
        try:
            async with asyncio.timeout(OPENING_S):
                response = await self._open("GET", path, query, None, "application/json", limits)
            async with response:
                yield _lines(response)
        except _FAILURES as exc:
            raise unanswered(exc, self.server) from exc

    async def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any,
        content_type: str,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """Send it, and return an answer that is no error, its body yet to be read."""
        if self._distrusted and self._kubeconfig is not None:
            # Credential plugins hand out tokens that end.
            await _load(self._api.configuration, self._kubeconfig)
        self._distrusted = False
        _, url, headers, _, _ = await self._api.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            auth_settings=["BearerToken"],
        )
        verb = method if limits.total is not None else "WATCH"
        try:
            answer = await self._api.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=limits
            )
        except BaseException:  # a time-out comes as a cancellation
            self.told(verb, None)
            raise
        response: aiohttp.ClientResponse = answer.response
        self.told(verb, response.status)
        if response.status < 400:
            return response
        async with response:
            self._distrusted = response.status == 401
            raise refused(
                response.status,
                await response.read(),
                response.headers.get("Retry-After"),
                self.server,
            )


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Whole lines of any length: an object may be far larger than a read buffer."""
    rest = bytearray()
    async for chunk in response.content.iter_any():
        rest += chunk
        *whole, last = rest.split(b"\n") if b"\n" in chunk else (rest,)
        for line in whole:
            if line:
                yield bytes(line)
        rest = bytearray(last)


async def _load(configuration: Configuration, kubeconfig: Path | None) -> None:
    if kubeconfig is None:
        kubeconfigs.load_incluster_config(client_configuration=configuration)
    else:
        await kubeconfigs.load_kube_config(
            config_file=str(kubeconfig), client_configuration=configuration, persist_config=False
        )


def usual_kubeconfig() -> Path | None:
    """None in a pod that names no other: there the service account is the usual way."""
    if named := os.environ.get("KUBECONFIG"):
        return Path(named)
    in_pod = "KUBERNETES_SERVICE_HOST" in os.environ
    return None if in_pod else Path.home() / ".kube" / "config"
