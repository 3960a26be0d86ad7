"""Asking a real API server: rights, answers that say no, and credentials."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from testcluster.control_plane import ControlPlane
from testcluster.fixtures import Namespace
from testcluster.processes import free_ports

from sluiceway.kube.client import KubeClient
from sluiceway.kube.errors import KubeError
from sluiceway.kube.secrets import Holder, KeyReader, KeyRef


async def test_the_right_to_get_one_secret_by_name_is_all_that_its_reader_needs(
    control_plane: ControlPlane, namespace: Namespace
) -> None:
    namespace.kubectl.run("create", "secret", "generic", "redis", "--from-literal=url=redis://a")
    namespace.kubectl.run("create", "secret", "generic", "other", "--from-literal=url=redis://b")
    rules = [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["redis"], "verbs": ["get"]}
    ]
    kubeconfig = control_plane.service_account("reader", namespace.name, rules)
    async with await KubeClient.connect(kubeconfig) as client:
        reader = KeyReader(client)

        def ref(name: str, key: str) -> KeyRef:
            return KeyRef(holder=Holder.SECRET, namespace=namespace.name, name=name, key=key)

        assert (await reader.read(ref("redis", "url"))).value == "redis://a"
        assert "has no key «uri»" in ((await reader.read(ref("redis", "uri"))).problem or "")
        assert "a permission is missing" in ((await reader.read(ref("other", "url"))).problem or "")


async def test_a_secret_and_a_config_map_that_do_not_exist_are_named(
    control_plane: ControlPlane, namespace: Namespace
) -> None:
    async with await KubeClient.connect(control_plane.credentials.kubeconfig()) as client:
        for holder in Holder:
            ref = KeyRef(holder=holder, namespace=namespace.name, name="absent", key="url")
            problem = (await KeyReader(client).read(ref)).problem
            assert problem == (
                f"{holder.kind} {namespace.name}/absent does not exist; "
                "create it, or correct its name"
            )


async def test_a_refused_write_tells_its_status_and_the_servers_words(
    control_plane: ControlPlane, namespace: Namespace
) -> None:
    path = f"/api/v1/namespaces/{namespace.name}/configmaps"
    async with await KubeClient.connect(control_plane.credentials.kubeconfig()) as client:
        await client.request("POST", path, body={"metadata": {"name": "one"}})
        with pytest.raises(KubeError, match="already exists") as refusal:
            await client.request("POST", path, body={"metadata": {"name": "one"}})
        assert (refusal.value.status, refusal.value.reason) == (409, "AlreadyExists")
        with pytest.raises(KubeError, match="modified") as conflict:
            await client.request(
                "PATCH",
                f"{path}/one",
                body={"metadata": {"resourceVersion": "1"}, "data": {"a": "b"}},
                content_type="application/merge-patch+json",
            )
        assert conflict.value.status == 409


async def test_a_token_that_was_replaced_in_the_kubeconfig_is_taken_up(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    good = json.loads(control_plane.credentials.kubeconfig().read_text())
    bad = json.loads(json.dumps(good))
    bad["users"][0]["user"]["token"] = "expired"
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(bad))
    async with await KubeClient.connect(kubeconfig) as client:
        with pytest.raises(KubeError, match="does not accept the credentials"):
            await client.request("GET", "/api/v1/namespaces")
        kubeconfig.write_text(json.dumps(good))
        assert b"NamespaceList" in await client.request("GET", "/api/v1/namespaces")


async def test_an_api_server_that_is_not_there_is_a_sentence(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    config = json.loads(control_plane.credentials.kubeconfig().read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    async with await KubeClient.connect(kubeconfig) as client:
        with pytest.raises(KubeError) as refusal:
            await client.request("GET", "/version")
    assert str(refusal.value) == (
        f"API server https://127.0.0.1:{port}: nothing listens there (connection refused)"
    )
    assert refusal.value.status is None


async def test_a_frozen_api_server_holds_nobody_longer_than_was_allowed(
    control_plane: ControlPlane,
) -> None:
    async with await KubeClient.connect(control_plane.credentials.kubeconfig()) as client:
        await client.request("GET", "/version")
        control_plane.api_server.freeze()
        try:
            asking = [client.request("GET", "/version", timeout_s=0.5) for _ in range(30)]
            answers = await asyncio.gather(*asking, return_exceptions=True)
        finally:
            control_plane.api_server.thaw()
        assert [one for one in map(str, answers) if "does not answer in time" not in one] == []
        assert b"gitVersion" in await client.request("GET", "/version")


async def test_a_kubeconfig_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeError, match=r"kubeconfig .*absent cannot be used"):
        await KubeClient.connect(tmp_path / "absent")


async def test_kubeconfig_names_the_cluster_where_no_path_is_given(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(control_plane.credentials.kubeconfig()))
    async with await KubeClient.connect() as client:
        assert client.server == control_plane.url


async def test_every_request_is_told_with_its_verb_and_its_answer_s_code(
    control_plane: ControlPlane,
) -> None:
    told: list[tuple[str, int | None]] = []
    async with await KubeClient.connect(control_plane.credentials.kubeconfig()) as client:
        client.told = lambda verb, code: told.append((verb, code))
        await client.request("GET", "/version")
        with pytest.raises(KubeError):
            await client.request("GET", "/api/v1/nodes/absent")
        watched = {"watch": "true", "timeoutSeconds": "1"}
        async with client.lines("/api/v1/nodes", query=watched, silence_s=60.0):
            pass
        control_plane.api_server.freeze()
        try:
            with pytest.raises(KubeError):
                await client.request("PATCH", "/version", timeout_s=0.2)
        finally:
            control_plane.api_server.thaw()
    assert told == [("GET", 200), ("GET", 404), ("WATCH", 200), ("PATCH", None)]
