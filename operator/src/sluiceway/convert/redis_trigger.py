"""KEDA's triggers on Redis lists: which queues, which priorities, which broker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from sluiceway.convert.bundle import Bundle
from sluiceway.convert.pods import broker_variable
from sluiceway.convert.result import Draft, NotConvertibleError, Object

REDIS_LISTS = ("redis", "redis-sentinel")
_SEPARATOR = "\x06\x16"
_CELERYS_STEPS = (0, 3, 6, 9)
_PASSWORDS = ("password", "passwordFromEnv", "username", "usernameFromEnv", "sentinelPassword")


def describe_queues(draft: Draft, triggers: list[Mapping[str, Any]]) -> None:
    """Several lists of one queue are its priorities; the target is the lists' own."""
    queues: dict[str, set[int]] = {}
    lengths: list[int] = []
    for trigger in triggers:
        metadata = trigger.get("metadata") or {}
        name = metadata.get("listName")
        if not name:
            raise NotConvertibleError(
                f"{draft.source}: a trigger of type {trigger.get('type')} has no listName "
                "(listNameFromEnv is known to the pods only): write the queue's name as listName"
            )
        queue, _, step = str(name).partition(_SEPARATOR)
        queues.setdefault(queue, set()).add(int(step) if step.isdigit() else 0)
        lengths.append(int(metadata.get("listLength", 5)))
        if trigger.get("metricType") == "Value":
            draft.say(
                "metricType Value has no counterpart: listLength is read as a number for each "
                "worker (AverageValue)"
            )
        if int(metadata.get("activationListLength", 0) or 0):
            draft.say(
                f"activationListLength ({metadata['activationListLength']}) has no counterpart: "
                "the first message starts a worker"
            )
    draft.spec["queues"] = list(queues)
    scaling = draft.spec.setdefault("scaling", {})
    scaling["target"] = {"backlogPerReplica": min(lengths)}
    if len(set(lengths)) > 1:
        draft.say(
            f"the triggers have different listLengths ({', '.join(map(str, lengths))}): the "
            "smallest holds for all, because a TaskQueue counts all its lists together"
        )
    draft.say(
        "backlogPerReplica counts what waits and what runs, listLength only what waits: consider "
        "target: {maxWait: 30s}, for which no number must be found"
    )
    steps = set().union(*queues.values()) - set(_CELERYS_STEPS)
    if steps:
        draft.spec.setdefault("broker", {})["prioritySteps"] = sorted(
            {0}.union(*queues.values())
        )  # fmt: skip
    elif any(len(found) > 1 for found in queues.values()):
        draft.say(
            "several lists of one queue are its priorities, and became one queue: all priority "
            f"steps {list(_CELERYS_STEPS)} are counted"
        )
    if any(":" in queue for queue in queues):
        draft.say(
            "a list's name has a colon: where that is the application's global_keyprefix, write "
            "it as broker.keyPrefix and take it out of queues"
        )


def describe_broker(
    draft: Draft,
    owner: Object,
    triggers: list[Mapping[str, Any]],
    bundle: Bundle,
    deployment: Object | None,
) -> None:
    """The address: where the application reads it, else as the trigger writes it."""
    broker = draft.spec.setdefault("broker", {})
    addresses = {_address(draft, trigger) for trigger in triggers}
    if len(addresses) > 1:
        raise NotConvertibleError(
            f"{draft.source}: its triggers name several brokers, and a TaskQueue has one: split "
            "it into a ScaledObject for each, with a Deployment for each"
        )
    (address,) = addresses
    secrets = [
        secret
        for trigger in triggers
        for secret in _secrets(draft, owner, trigger, bundle)
    ]  # fmt: skip
    _certificates(draft, secrets)
    variable = broker_variable(deployment)
    password = any(
        key in (trigger.get("metadata") or {}) for trigger in triggers for key in _PASSWORDS
    ) or any(parameter in _PASSWORDS for parameter, _ in secrets)
    if variable is not None:
        broker["urlFrom"] = {"env": variable}
    elif password or address is None:
        name = f"{draft.name}-broker"
        broker["urlFrom"] = {"secretKeyRef": {"name": name, "key": "url"}}
        shown = (address or "redis://HOST:6379/0").replace("://", "://:PASSWORD@", 1)
        draft.say(
            "KEDA keeps host and password apart, a TaskQueue needs the whole address in one "
            f"place: make the Secret {name} with the key url, as in: kubectl create secret "
            f"generic {name} --from-literal='url={shown}'"
        )
    else:
        broker["url"] = address


def _address(draft: Draft, trigger: Mapping[str, Any]) -> str | None:
    """The URL without a password; None where only the pods know it."""
    metadata = trigger.get("metadata") or {}
    database = metadata.get("databaseIndex", "0") or "0"
    scheme = "rediss" if _true(metadata.get("enableTLS")) else "redis"
    query = "?ssl_cert_reqs=none" if _true(metadata.get("unsafeSsl")) else ""
    if query:
        draft.say("unsafeSsl: the broker's certificate is not looked at; better is tls")
    if trigger.get("type") == "redis-sentinel":
        hosts = _pairs(metadata)
        master = metadata.get("sentinelMaster")
        if not hosts or not master:
            return None
        if scheme == "rediss":
            draft.say("enableTLS with Sentinel: set the application's own TLS options")
        nodes = ";".join(f"sentinel://{host}" for host in hosts)
        return f"{nodes}/{database}?master_name={quote(str(master))}"
    host = metadata.get("address") or ":".join(
        str(metadata[part]) for part in ("host", "port") if part in metadata
    )
    return f"{scheme}://{host}/{database}{query}" if host else None


def _pairs(metadata: Mapping[str, Any]) -> list[str]:
    if metadata.get("addresses"):
        return [one.strip() for one in str(metadata["addresses"]).split(",")]
    hosts, ports = (str(metadata.get(name) or "").split(",") for name in ("hosts", "ports"))
    return [f"{h.strip()}:{p.strip()}" for h, p in zip(hosts, ports, strict=False) if h and p]


def _secrets(
    draft: Draft, owner: Object, trigger: Mapping[str, Any], bundle: Bundle
) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """(parameter, secretTargetRef) of the trigger's authentication."""
    ref = trigger.get("authenticationRef")
    if not ref:
        return
    found = bundle.authentication(owner, ref)
    if found is None:
        draft.say(
            f"the {ref.get('kind') or 'TriggerAuthentication'} {ref.get('name')} was not among "
            "the files: it is taken to hold a password; give it with a further -f"
        )
        yield "password", {}
        return
    spec = found.get("spec") or {}
    for one in spec.get("secretTargetRef") or ():
        yield str(one.get("parameter")), one
    for one in spec.get("env") or ():
        yield str(one.get("parameter")), {}
    for other in sorted(set(spec) - {"secretTargetRef", "env"}):
        draft.say(
            f"{other} of the {found.get('kind')} {ref.get('name')} has no counterpart: have what "
            "it brings written into a Secret (as by External Secrets), and name that"
        )
        yield "password", {}


def _certificates(draft: Draft, secrets: list[tuple[str, Mapping[str, Any]]]) -> None:
    """``ca``, ``cert`` and ``key`` of one Secret become ``broker.tls``."""
    found = {parameter: one for parameter, one in secrets if parameter in ("ca", "cert", "key")}
    if not found:
        return
    names = {str(one.get("name")) for one in found.values()}
    wanted = {"ca": "ca.crt", "cert": "tls.crt", "key": "tls.key"}
    if len(names) == 1:
        draft.spec["broker"]["tls"] = {"secretName": names.pop()}
    if len(names) > 1 or any(one.get("key") != wanted[name] for name, one in found.items()):
        draft.say(
            "certificates: broker.tls needs one Secret with the keys ca.crt, tls.crt and tls.key, "
            "as cert-manager writes it"
        )


def _true(value: Any) -> bool:
    return str(value).lower() == "true"
