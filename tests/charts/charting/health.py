"""How Argo CD and Flux judge an object: the committed scripts, run as those tools run them."""

from __future__ import annotations

from typing import Any

import celpy
import lupa
import yaml

from charting.paths import ARGOCD, FLUX

HEALTH_LUA = ARGOCD / "resource_customizations" / "sluiceway.dev" / "TaskQueue" / "health.lua"


def argo_health(obj: dict[str, Any], script: str | None = None) -> tuple[str, str]:
    """Status and message, as Argo CD shows them.

    Args:
        script: in place of the committed one.

    Raises:
        lupa.LuaError: the script reaches for something that Argo CD does not offer.
    """
    lua = lupa.LuaRuntime(register_eval=False, register_builtins=False)
    # Argo CD opens none of Lua's libraries unless it is told to.
    for library in ("os", "io", "package", "debug", "coroutine", "python", "require", "dofile"):
        lua.execute(f"{library} = nil")
    lua.globals().obj = lua.table_from(obj, recursive=True)
    found = lua.execute(script or HEALTH_LUA.read_text(encoding="utf-8"))
    return str(found.status), str(found.message or "")


def flux_health(obj: dict[str, Any]) -> str:
    """What Flux takes the object for: InProgress, Failed or Current.

    The order is that of Flux: what is in progress is asked for first, and where no
    expression holds it is in progress still.
    """
    kustomization = yaml.safe_load((FLUX / "shop.yaml").read_text(encoding="utf-8"))
    (expressions,) = kustomization["spec"]["healthCheckExprs"]
    members = {name: celpy.json_to_cel(item) for name, item in obj.items()}
    members.setdefault("status", celpy.json_to_cel({}))
    for field, verdict in (
        ("inProgress", "InProgress"),
        ("failed", "Failed"),
        ("current", "Current"),
    ):
        environment = celpy.Environment()
        if environment.program(environment.compile(expressions[field])).evaluate(members):
            return verdict
    return "InProgress"
