"""A container image of one static program, made without any container engine.

The layout is that of ``docker save``: a layer, a configuration, and a manifest
that names both. All times are zero, so the same program makes the same image.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""The machine's own name for itself, and Go's."""


def write_image(archive: Path, *, name: str, program: Path) -> None:
    """Write an image whose entrypoint is ``/<program's name>``, run as nobody.

    Args:
        archive: the file to write.
        name: the image's name with its tag, as pods ask for it.
        program: a static binary.
    """
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files:
        entry = tarfile.TarInfo(program.name)
        entry.mode = 0o755
        entry.size = program.stat().st_size
        with program.open("rb") as content:
            files.addfile(entry, content)
    configuration = json.dumps(
        {
            "os": "linux",
            "architecture": ARCHITECTURES[platform.machine()],
            "config": {"Entrypoint": [f"/{program.name}"], "User": "65534:65534"},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"],
            },
        }
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, mode="w") as image:
        for path, data in (
            ("layer.tar", layer.getvalue()),
            ("config.json", configuration),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            member = tarfile.TarInfo(path)
            member.size = len(data)
            image.addfile(member, io.BytesIO(data))
