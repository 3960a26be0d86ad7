"""Where a TaskQueue's broker is: in the spec, a Secret, a ConfigMap, or the pods' variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.broker.address import BrokerAddress, parse_address, with_master_name
from sluiceway.kube.secrets import Absent, Found, Holder, KeyReader, KeyRef
from sluiceway.report.resource import SetupProblem

_NO_BROKER = SetupProblem(
    reason="BrokerNotGiven",
    sentence=(
        "spec.broker names no broker: write url: redis://…, or urlFrom with the Secret that "
        "holds the address"
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Url:
    """The address, or why there is none; and where it was read."""

    value: str | None = field(default=None, repr=False)
    problem: SetupProblem | None = None
    sources: tuple[KeyRef, ...] = ()
    """The keys to read again when the address stops working; none for a written one."""


def address_in(taskqueue: TaskQueue, url: str) -> BrokerAddress:
    """The broker that the pods of a TaskQueue reach under this URL.

    They find a Service of their own namespace by its name alone; the operator, which
    lives elsewhere, needs the namespace with it.

    Raises:
        AddressError: it cannot be used.
    """
    namespace = taskqueue.metadata.namespace
    address = parse_address(with_master_name(url, taskqueue.spec.broker.master_name))
    hosts = tuple((_seen_from_outside(host, namespace), port) for host, port in address.hosts)
    return replace(address, hosts=hosts)


def _seen_from_outside(host: str, namespace: str) -> str:
    is_short = "." not in host and ":" not in host and host != "localhost"
    return f"{host}.{namespace}.svc" if is_short else host


async def url_of(taskqueue: TaskQueue, pod: Mapping[str, Any], keys: KeyReader) -> Url:
    """The broker's address.

    Args:
        pod: the spec of the fleet's pods, for ``urlFrom.env``.
        keys: reads Secrets and ConfigMaps by name.
    """
    broker, namespace = taskqueue.spec.broker, taskqueue.metadata.namespace
    if broker.url is not None:
        return Url(value=broker.url)
    source = broker.url_from
    if source is None:
        return Url(problem=_NO_BROKER)
    for holder, ref in (
        (Holder.SECRET, source.secret_key_ref),
        (Holder.CONFIG_MAP, source.config_map_key_ref),
    ):
        if ref is not None:
            return await _read(
                keys,
                KeyRef(holder=holder, namespace=namespace, name=ref.name, key=ref.key),
                "spec.broker.urlFrom",
            )
    assert source.env is not None, "the API server has checked that one is given"
    return await _from_env(source.env, namespace, _container(pod), keys)


async def _from_env(
    name: str, namespace: str, container: Mapping[str, Any], keys: KeyReader
) -> Url:
    where = f"spec.broker.urlFrom.env: {name}"
    for one in reversed(container.get("env") or ()):
        if one.get("name") != name:
            continue
        if "valueFrom" not in one:
            return _literal(one.get("value") or "", where)
        for holder, member in (
            (Holder.SECRET, "secretKeyRef"),
            (Holder.CONFIG_MAP, "configMapKeyRef"),
        ):
            if (ref := one["valueFrom"].get(member)) is not None:
                return await _read(
                    keys,
                    KeyRef(holder=holder, namespace=namespace, name=ref["name"], key=ref["key"]),
                    where,
                )
        return _unreadable(f"{where} comes from what only the pod itself knows")
    return await _from_whole(name, namespace, container, keys, where)


async def _from_whole(
    name: str, namespace: str, container: Mapping[str, Any], keys: KeyReader, where: str
) -> Url:
    """From a Secret or ConfigMap that is taken in as a whole; the last that has it counts."""
    asked: list[KeyRef] = []
    for one in reversed(container.get("envFrom") or ()):
        for holder, member in ((Holder.SECRET, "secretRef"), (Holder.CONFIG_MAP, "configMapRef")):
            ref = one.get(member)
            prefix = one.get("prefix") or ""
            if ref is None or not name.startswith(prefix):
                continue
            key = name.removeprefix(prefix)
            asked.append(KeyRef(holder=holder, namespace=namespace, name=ref["name"], key=key))
            found = await keys.read(asked[-1])
            # A Secret that does not exist keeps the pods from starting, unless it is optional.
            goes_on = found.absent is Absent.KEY or (
                found.absent is not None and ref.get("optional")
            )
            if not goes_on:
                return _url(found, where, tuple(asked))
    unreadable = _unreadable(
        f"{where} is not among the variables of the worker's container: set it in "
        "worker.template, or write broker.url or broker.urlFrom.secretKeyRef"
    )
    return replace(unreadable, sources=tuple(asked))


def _literal(value: str, where: str) -> Url:
    if "$(" in value:
        return _unreadable(
            f"{where} is put together from other variables, which only the pod does: write "
            "broker.url or broker.urlFrom.secretKeyRef"
        )
    return Url(value=value) if value else _unreadable(f"{where} is empty: give it a value")


async def _read(keys: KeyReader, ref: KeyRef, where: str) -> Url:
    return _url(await keys.read(ref), where, (ref,))


def _url(found: Found, where: str, sources: tuple[KeyRef, ...]) -> Url:
    if found.value is None:
        problem = SetupProblem(reason="BrokerUrlUnknown", sentence=f"{where}: {found.problem}")
        return Url(problem=problem, sources=sources)
    return Url(value=found.value.strip(), sources=sources)


def _unreadable(sentence: str) -> Url:
    return Url(problem=SetupProblem(reason="BrokerUrlUnknown", sentence=sentence))


def _container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The worker's container: by its name, or the first one of somebody else's pod."""
    containers: Iterable[Mapping[str, Any]] = pod.get("containers") or ()
    named = [one for one in containers if one.get("name") == "worker"]
    return next(iter([*named, *containers]), {})
