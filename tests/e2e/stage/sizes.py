"""Builds the images that are published and prints how large they are: ``make images``."""

from __future__ import annotations

import json

from testcluster.base_image import ensure_bases
from testcluster.engine import Engine, engine

from stage.images import BUILDS

_MB = 1_000_000


def described(docker: Engine, image: str) -> str:
    """One line: size, user and what its labels say of it."""
    told = json.loads(docker.run("image", "inspect", image))[0]
    config = told["Config"]
    labels = {
        name.rpartition(".")[2]: value
        for name, value in (config.get("Labels") or {}).items()
        if name.startswith("org.opencontainers.image.")
    }
    said = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
    return f"{image}: {told['Size'] / _MB:.1f} MB, user {config['User']}; {said}"


def main() -> None:
    """Build and describe each target of the Dockerfile."""
    with engine() as docker:
        for build in BUILDS:
            if build.target is not None:
                ensure_bases(docker, build.context / "Dockerfile")
                docker.build(build.context, name=build.name, target=build.target)
                print(described(docker, build.name), flush=True)


if __name__ == "__main__":
    main()
