"""What becomes of a write to the API server that did not go well."""

from __future__ import annotations

from sluiceway.kube.errors import CONFLICT, KubeError

_TOO_MANY = 429


def may_have_worked(exc: KubeError) -> bool:
    """Whether nobody can tell if it was carried out: no answer came, or the server stumbled."""
    return exc.status is None or exc.status >= 500


def passes_by_itself(exc: KubeError) -> bool:
    """Whether the same request may well be accepted a little later."""
    return may_have_worked(exc) or exc.status in (CONFLICT, _TOO_MANY)
