"""What is needed of a client of the API server by whoever writes through it.

Apart from the client itself, so that a writer knows no library of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class Requests(Protocol):
    """The part of a ``KubeClient`` that is needed to write."""

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
