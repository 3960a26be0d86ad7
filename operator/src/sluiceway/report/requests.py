"""What the writers of statuses and Events need of a client of the API server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sluiceway.kube.errors import CONFLICT, KubeError

MERGE_PATCH = "application/merge-patch+json"
FIELD_MANAGER = "sluiceway"
"""Who wrote it, for whoever asks the API server."""

_TOO_MANY = 429


class Requests(Protocol):
    """The part of a ``KubeClient`` that is needed here."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> bytes:
        """One answer's JSON; raises ``KubeError``."""


def may_have_worked(exc: KubeError) -> bool:
    """Whether nobody can tell if it was carried out: no answer came, or the server stumbled."""
    return exc.status is None or exc.status >= 500


def passes_by_itself(exc: KubeError) -> bool:
    """Whether the same request may well be accepted a little later."""
    return may_have_worked(exc) or exc.status in (CONFLICT, _TOO_MANY)
