"""The images of the scenes: the project's own, and those of a user who has a shop.

Their names are those of manifests/, so that what is installed and the examples are
applied as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from testcluster.base_image import ensure_bases
from testcluster.engine import Engine
from testcluster.paths import REPOSITORY
from testcluster.provider import Cluster, ExistingCluster

COUNTED = "registry.example/counted:1"
"""A plain Celery application, tests/e2e/counted; a Redis-compatible server, too."""
COUNTED_NEXT = "registry.example/counted:2"
"""The same, as its next release."""
STOREFRONT = "registry.example/storefront:1"
"""An application for the charts, tests/e2e/storefront: web, tasks, Beat, Flower, a broker."""
STOREFRONT_NEXT = "registry.example/storefront:2"
"""The same, as its next release."""
SHOP = "registry.example/shop:1.4"
"""The sample shop, as manifests/examples name it."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """One image and what it is made of."""

    name: str
    context: Path = REPOSITORY
    target: str | None = None


BUILDS = (
    Build(name="sluiceway:0.1.0", target="operator"),
    Build(name="sluiceway-agent:0.1.0", target="agent"),
    Build(name=SHOP, target="worker"),
    Build(name=COUNTED, context=REPOSITORY / "tests" / "e2e" / "counted"),
    Build(name=STOREFRONT, context=REPOSITORY / "tests" / "e2e" / "storefront"),
)
RELEASES = {COUNTED: COUNTED_NEXT, STOREFRONT: STOREFRONT_NEXT}


def build_all(engine: Engine) -> None:
    """Build them; what has not changed is not built again."""
    for build in BUILDS:
        ensure_bases(engine, build.context / "Dockerfile")
        engine.build(build.context, name=build.name, target=build.target)
    for name, its_next in RELEASES.items():
        engine.run("tag", name, its_next)


def names() -> list[str]:
    """All of them."""
    return [*(build.name for build in BUILDS), *RELEASES.values()]


def load_all(engine: Engine, cluster: Cluster, folder: Path) -> None:
    """Make them known to the nodes.

    A cluster of the user's own is taken to have them: nothing can be loaded there.
    """
    if isinstance(cluster, ExistingCluster):
        return
    archive = folder / "images.tar"
    # In one archive, layers that images share are written and read once.
    engine.run("save", "--output", archive, *names())
    cluster.load_image(archive)
    archive.unlink()
