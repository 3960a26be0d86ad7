"""What a watch shows of a real API server, in good days and in bad ones."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from testcluster.build import ensure_built
from testcluster.control_plane import ControlPlane
from testcluster.fixtures import Namespace

from sluiceway.kube.client import KubeClient
from sluiceway.kube.views import DEPLOYMENTS, PODS, Deployment, Pod
from sluiceway.kube.watch import SILENCE_S, Watch

Change = tuple[str, str]


async def eventually(holds: Callable[[], bool]) -> None:
    """Return once it holds; a hang is ended by the deadline."""
    async with asyncio.timeout(90):
        while not holds():  # noqa: ASYNC110 - what is waited for happens elsewhere
            await asyncio.sleep(0.02)


def pod(name: str, **labels: str) -> dict[str, Any]:
    container = {"name": "worker", "image": "example.invalid/worker"}
    return {"metadata": {"name": name, "labels": labels}, "spec": {"containers": [container]}}


class Hand:
    """Makes, changes and deletes pods of one namespace."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._path = f"/api/v1/namespaces/{namespace}/pods"

    async def make(self, name: str, **labels: str) -> None:
        await self._client.request("POST", self._path, body=pod(name, **labels))

    async def label(self, name: str, **labels: str | None) -> None:
        await self._client.request(
            "PATCH",
            f"{self._path}/{name}",
            body={"metadata": {"labels": labels}},
            content_type="application/merge-patch+json",
        )

    async def delete(self, name: str) -> None:
        # Without a node there is no kubelet that a grace period would wait for.
        await self._client.request("DELETE", f"{self._path}/{name}")


class Seen:
    """A running watch of pods, and all that it told."""

    def __init__(self, client: Any, namespace: str, **settings: Any) -> None:
        self.changes: list[Change] = []
        self.watch: Watch[Pod] = Watch(
            client, PODS, changed=self._changed, namespaces=[namespace], **settings
        )

    @property
    def names(self) -> set[str]:
        return {one.metadata.name for one in self.watch.objects.values()}

    def _changed(self, before: Pod | None, now: Pod | None) -> None:
        one = now or before
        assert one is not None
        what = "new" if before is None else "gone" if now is None else "other"
        self.changes.append((what, one.metadata.name))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.watch.run())
        try:
            await self.watch.until_fresh()
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(control_plane.credentials.kubeconfig()) as connected:
        yield connected


@pytest.fixture
def hand(client: KubeClient, namespace: Namespace) -> Hand:
    # Pods are refused until the namespace's controllers have made this.
    namespace.kubectl.run("wait", "--for=create", "serviceaccount/default")
    return Hand(client, namespace.name)


async def test_objects_that_are_made_changed_and_deleted_are_told_of(
    client: KubeClient, hand: Hand, namespace: Namespace
) -> None:
    await hand.make("early")
    seen = Seen(client, namespace.name)
    async with seen.running():
        assert seen.names == {"early"}
        await hand.make("late")
        await eventually(lambda: ("new", "late") in seen.changes)
        await hand.label("late", colour="blue")
        await eventually(
            lambda: "colour" in seen.watch.objects[f"{namespace.name}/late"].metadata.labels
        )
        await hand.delete("early")
        await eventually(lambda: seen.names == {"late"})
    assert seen.changes[0] == ("new", "early")
    assert ("gone", "early") in seen.changes


async def test_what_leaves_the_selector_is_gone(
    client: KubeClient, hand: Hand, namespace: Namespace
) -> None:
    await hand.make("worker", role="worker")
    await hand.make("web", role="web")
    seen = Seen(client, namespace.name, selector="role=worker")
    async with seen.running():
        assert seen.names == {"worker"}
        await hand.label("worker", role="web")
        await eventually(lambda: seen.names == set())


async def test_a_deployment_is_seen_with_what_its_controller_says_of_it(
    client: KubeClient, namespace: Namespace
) -> None:
    await client.request(
        "POST",
        f"/apis/apps/v1/namespaces/{namespace.name}/deployments",
        body={
            "metadata": {"name": "fleet"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "fleet"}},
                "template": pod("ignored", app="fleet"),
            },
        },
    )
    watch: Watch[Deployment] = Watch(
        client, DEPLOYMENTS, changed=lambda before, now: None, namespaces=[namespace.name]
    )
    task = asyncio.create_task(watch.run())
    try:
        await watch.until_fresh()
        await eventually(lambda: watch.objects[f"{namespace.name}/fleet"].status.replicas == 2)
        fleet = watch.objects[f"{namespace.name}/fleet"]
    finally:
        task.cancel()
    assert fleet.spec.replicas == 2
    assert fleet.spec.selector.match_labels == {"app": "fleet"}
    assert fleet.metadata.generation == fleet.status.observed_generation == 1
    assert fleet.metadata.resource_version.isdecimal()
    assert fleet.status.ready_replicas == 0


async def test_an_api_server_that_was_away_is_found_again_and_nothing_is_lost(
    control_plane: ControlPlane, client: KubeClient, hand: Hand, namespace: Namespace
) -> None:
    await hand.make("stays")
    await hand.make("goes")
    seen = Seen(client, namespace.name)
    async with seen.running():
        await asyncio.to_thread(control_plane.stop_api_server)
        try:
            await eventually(lambda: not seen.watch.fresh)
            assert seen.names == {"stays", "goes"}
            await eventually(lambda: "refused" in (seen.watch.problem or ""))
        finally:
            await asyncio.to_thread(control_plane.start_api_server)
        # Whether the watch is back before these or after them, it must know.
        await hand.delete("goes")
        await hand.make("comes")
        await seen.watch.until_fresh()
        await eventually(lambda: seen.names == {"stays", "comes"})
        assert seen.watch.problem is None
    assert ("gone", "goes") in seen.changes


async def test_a_silent_api_server_makes_the_view_stale_until_it_speaks_again(
    control_plane: ControlPlane, client: KubeClient, hand: Hand, namespace: Namespace
) -> None:
    await hand.make("stays")
    seen = Seen(client, namespace.name, silence_s=2.0)
    async with seen.running():
        control_plane.api_server.freeze()
        try:
            await eventually(lambda: "does not answer in time" in (seen.watch.problem or ""))
            assert not seen.watch.fresh
            assert seen.names == {"stays"}
        finally:
            control_plane.api_server.thaw()
        await seen.watch.until_fresh()
        await hand.make("comes")
        await eventually(lambda: seen.names == {"stays", "comes"})


class EndsInOrder:
    """The API server, which ends its watches in good order when it is told to."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self.server = client.server
        self.end = asyncio.Event()
        self.go_on = asyncio.Event()
        self.queries: list[Mapping[str, str]] = []
        self.pages = 0

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None
    ) -> bytes:
        self.pages += 1
        return await self._client.request(method, path, query=query)

    @asynccontextmanager
    async def lines(
        self, path: str, *, query: Mapping[str, str], silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        if self.end.is_set():
            await self.go_on.wait()
        self.queries.append(query)
        async with self._client.lines(path, query=query, silence_s=silence_s) as lines:
            yield self._until_end(lines)

    async def _until_end(self, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        end = asyncio.ensure_future(self.end.wait())
        while True:
            line = asyncio.ensure_future(anext(lines))
            await asyncio.wait([end, line], return_when=asyncio.FIRST_COMPLETED)
            if not line.done():
                line.cancel()
                return
            yield line.result()


async def test_a_watch_that_ended_in_good_order_goes_on_from_where_it_was(
    client: KubeClient, hand: Hand, namespace: Namespace
) -> None:
    await hand.make("stays")
    server = EndsInOrder(client)
    seen = Seen(server, namespace.name)
    async with seen.running():
        server.end.set()
        await hand.make("comes")
        server.end.clear()
        server.go_on.set()
        await eventually(lambda: seen.names == {"stays", "comes"})
        assert seen.watch.fresh
    assert "sendInitialEvents" in server.queries[0]
    assert all("resourceVersion" in query for query in server.queries[1:])


async def test_a_history_that_was_compacted_away_is_followed_by_a_new_list(
    control_plane: ControlPlane, client: KubeClient, hand: Hand, namespace: Namespace
) -> None:
    await hand.make("stays")
    await hand.make("goes")
    server = EndsInOrder(client)
    seen = Seen(server, namespace.name)
    async with seen.running():
        server.end.set()
        await hand.delete("goes")
        await hand.make("comes")
        await asyncio.to_thread(compact, control_plane)
        # What the API server itself still remembers goes with its process.
        await asyncio.to_thread(control_plane.restart_api_server)
        server.end.clear()
        server.go_on.set()
        await eventually(lambda: seen.names == {"stays", "comes"})
        await seen.watch.until_fresh()
    assert ("gone", "goes") in seen.changes
    assert "resourceVersion" in server.queries[1], "it tried to go on"
    assert "sendInitialEvents" in server.queries[-1], "and then listed anew"


def compact(control_plane: ControlPlane) -> None:
    """Let etcd forget everything but what holds now."""
    (url,) = (
        part.partition("=")[2]
        for part in control_plane.etcd.command
        if part.startswith("--listen-client-url=")
    )

    def ask(path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(url + path, data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            said: dict[str, Any] = json.load(answer)
            return said

    revision = ask("/v3/kv/range", {"key": "AA=="})["header"]["revision"]
    ask("/v3/kv/compaction", {"revision": revision})


async def test_list_and_watch_are_the_only_rights_it_needs(
    control_plane: ControlPlane, hand: Hand, namespace: Namespace
) -> None:
    await hand.make("stays")
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]
    kubeconfig = await asyncio.to_thread(
        control_plane.service_account, "watcher", namespace.name, rules
    )
    async with await KubeClient.connect(kubeconfig) as watcher:
        seen = Seen(watcher, namespace.name)
        async with seen.running():
            await hand.make("comes")
            await eventually(lambda: seen.names == {"stays", "comes"})


async def test_a_missing_right_is_a_sentence_and_the_view_is_never_trusted(
    control_plane: ControlPlane, namespace: Namespace
) -> None:
    kubeconfig = await asyncio.to_thread(
        control_plane.service_account, "nobody", namespace.name, []
    )
    async with await KubeClient.connect(kubeconfig) as nobody:
        seen = Seen(nobody, namespace.name)
        task = asyncio.create_task(seen.watch.run())
        await eventually(lambda: seen.watch.problem is not None)
        task.cancel()
    assert "a permission is missing" in (seen.watch.problem or "")
    assert 'cannot watch resource "pods"' in (seen.watch.problem or "")
    assert not seen.watch.synced


async def test_a_server_without_streamed_lists_is_listed_in_pages(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluiceway.kube.listwatch.PAGE", 2)
    plain = ControlPlane(ensure_built(), tmp_path_factory.mktemp("plain"))
    plain.api_server.command.append("--feature-gates=WatchList=false")
    # These two ask for streamed lists themselves, and would only log that there are none.
    with plain:
        async with await KubeClient.connect(plain.credentials.kubeconfig()) as client:
            hand = Hand(client, "default")
            for name in "abcde":
                await hand.make(name)
            server = EndsInOrder(client)
            seen = Seen(server, "default")
            async with seen.running():
                assert seen.names == set("abcde")
                assert server.pages == 3
                await hand.delete("a")
                await eventually(lambda: seen.names == set("bcde"))


def test_a_healthy_watch_is_never_silent_for_so_long() -> None:
    bookmarks_every_s = 60.0
    assert bookmarks_every_s < SILENCE_S
