"""List and watch, as the API server offers them for one kind and one namespace.

A list comes as a stream that ends with a mark (WatchList), or in pages where the
server has no such streams; after either, changes follow on a watch. What is not
wanted of an object is skipped while it is read.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Generic, Protocol, TypeVar

import msgspec

from sluiceway.kube.errors import GONE, KubeError, Status, said_no
from sluiceway.kube.views import Resource, Watchable

V = TypeVar("V", bound=Watchable)
V_contra = TypeVar("V_contra", bound=Watchable, contravariant=True)

PAGE = 500
"""Objects in one page of a list."""
LASTS_S = (300, 600)
"""A watch is ended by the server after a time in between, so that not all end at once."""

_NO_STREAMED_LISTS = (400, 422)
"""How a server answers that does not know, or may not use, ``sendInitialEvents``."""


class Sink(Protocol[V_contra]):
    """Who is told what the server says, in the server's order."""

    def seen(self, obj: V_contra) -> None:
        """It is there, and looks like this."""

    def gone(self, obj: V_contra) -> None:
        """It is not there any more, or not selected any more."""

    def listed(self, keys: frozenset[str]) -> None:
        """A new list is complete: these are all there are."""

    def alive(self) -> None:
        """The server speaks; nothing has changed."""


class Asks(Protocol):
    """The part of a ``KubeClient`` that is needed here."""

    @property
    def server(self) -> str:
        """Its address."""

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None
    ) -> bytes:
        """One answer's JSON."""

    def lines(
        self, path: str, *, query: Mapping[str, str], silence_s: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """An answer line by line."""


class ListWatch(Generic[V]):
    """A list, and then what changes, again and again."""

    def __init__(
        self,
        client: Asks,
        resource: Resource[V],
        *,
        namespace: str | None,
        selector: str,
        silence_s: float,
    ) -> None:
        """Ask for nothing yet.

        Args:
            namespace: None for all.
            selector: a label selector; empty for all objects.
            silence_s: a watch that is silent for so long is taken for broken.
        """
        self._client = client
        self._path = resource.path(namespace)
        self._selected = {"labelSelector": selector} if selector else {}
        self._silence_s = silence_s
        self._object = msgspec.json.Decoder(resource.view)
        self._streamed_lists = True

    async def follow(self, sink: Sink[V]) -> None:
        """Tell ``sink`` a new list, and then every change, until the connection breaks.

        Raises:
            KubeError: in the end, always. After any of them a new list is due.
        """
        version = ""
        try:
            if not self._streamed_lists:
                version = await self._list_in_pages(sink)
            while True:
                version = await self._watch(sink, version)
        except msgspec.DecodeError as exc:
            raise KubeError(
                f"API server {self._client.server}: it sent what cannot be understood ({exc})"
            ) from exc
        except KubeError as exc:
            if version or not self._streamed_lists or exc.status not in _NO_STREAMED_LISTS:
                raise
            self._streamed_lists = False
            await self.follow(sink)

    async def _list_in_pages(self, sink: Sink[V]) -> str:
        """The whole list; returns the version that it shows."""
        keys: set[str] = set()
        query = {**self._selected, "limit": str(PAGE)}
        while True:
            body = await self._client.request("GET", self._path, query=query)
            page = msgspec.json.decode(body, type=_Page)
            for raw in page.items:
                obj = self._object.decode(raw)
                keys.add(obj.metadata.key)
                sink.seen(obj)
            if not page.metadata.continue_:
                sink.listed(frozenset(keys))
                return page.metadata.resource_version
            query["continue"] = page.metadata.continue_

    async def _watch(self, sink: Sink[V], version: str) -> str:
        """One watch, until the server ends it in good order.

        Args:
            version: from where on changes are wanted; empty to be told all that exists first.

        Returns:
            From where on the next one is to go on.
        """
        listing: set[str] | None = set() if version == "" else None
        async with self._client.lines(
            self._path, query=self._watch_query(version), silence_s=self._silence_s
        ) as lines:
            if listing is None:
                sink.alive()
            async for line in lines:
                event = msgspec.json.decode(line, type=_Event)
                match event.type:
                    case "ADDED" | "MODIFIED":
                        obj = self._object.decode(event.object)
                        if listing is not None:
                            listing.add(obj.metadata.key)
                        sink.seen(obj)
                    case "DELETED":
                        obj = self._object.decode(event.object)
                        if listing is not None:
                            listing.discard(obj.metadata.key)
                        sink.gone(obj)
                    case "BOOKMARK":
                        if listing is not None and _ends_the_list(event.object):
                            sink.listed(frozenset(listing))
                            listing = None
                        else:
                            sink.alive()
                    case "ERROR":
                        said = msgspec.json.decode(event.object, type=Status)
                        raise said_no(said, self._client.server)
                    case _:
                        sink.alive()
                if listing is None:
                    version = msgspec.json.decode(event.object, type=_Mark).version or version
        if listing is not None:
            raise KubeError(f"API server {self._client.server}: a list ended before its end")
        return version

    def _watch_query(self, version: str) -> dict[str, str]:
        query = {
            **self._selected,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(*LASTS_S)),
        }
        if version == "":
            return query | {
                "sendInitialEvents": "true",
                "resourceVersionMatch": "NotOlderThan",
            }
        return query | {"resourceVersion": version}


def is_gone(exc: KubeError) -> bool:
    """Whether only a new list helps, and nothing is wrong (410, «too old»)."""
    return exc.status == GONE


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _MarkMetadata(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    annotations: dict[str, str] = {}


class _Mark(msgspec.Struct):
    """What all objects and bookmarks have."""

    metadata: _MarkMetadata

    @property
    def version(self) -> str:
        return self.metadata.resource_version


class _PageMetadata(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct):
    metadata: _PageMetadata
    items: list[msgspec.Raw]


def _ends_the_list(bookmark: msgspec.Raw) -> bool:
    annotations = msgspec.json.decode(bookmark, type=_Mark).metadata.annotations
    return annotations.get("k8s.io/initial-events-end") == "true"
