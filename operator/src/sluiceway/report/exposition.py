"""What /metrics answers: all series as text, in pieces."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from sluiceway.report.fleet_meters import FleetMeters


def registry_of(*collectors: Collector) -> CollectorRegistry:
    """These, and what is known of the process itself."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


def exposition(
    fleets: FleetMeters, registry: CollectorRegistry, accept: str
) -> tuple[Iterator[bytes], str]:
    """All series as text, and its media type. The text comes in pieces, each made when it is
    asked for: with thousands of TaskQueues it is long.

    Args:
        registry: of what is told beside the TaskQueues.
        accept: the request's header of that name; empty for the plain text format.
    """
    encode, media_type = choose_encoder(accept)
    open_metrics = media_type.startswith("application/openmetrics-text")

    def pieces() -> Iterator[bytes]:
        for text in fleets.text(open_metrics=open_metrics):
            if text:
                yield text.encode()
        yield encode(registry)  # at last, for OpenMetrics has a mark at its end

    return pieces(), media_type
