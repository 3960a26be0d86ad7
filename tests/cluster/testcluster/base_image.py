"""A stand-in for ``python:3.N-slim`` where no image registry is reached.

Made from Debian's packages and named as the image it stands in for, so that the
Dockerfile under test stays the very one that users build.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from testcluster.engine import Engine, ImageError
from testcluster.local import ClusterNeedsError

RELEASES = {"3.11": "bookworm", "3.13": "trixie"}
"""Debian's release for each Python that it has."""

PACKAGES = ("python3-venv", "ca-certificates")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def ensure_bases(engine: Engine, dockerfile: Path) -> None:
    """Make the stand-in of every ``FROM python:…`` that the engine does not have.

    The user's own engine is left alone: it pulls the real images, and a stand-in
    among them would deceive whatever else is built there.

    Raises:
        ClusterNeedsError: there is no such Python in a Debian release, or no debootstrap.
        ImageError: Debian's packages could not be had.
    """
    if engine.address is None:
        return
    named = re.findall(r"^FROM\s+(?:--\S+\s+)*(python:\S+)", dockerfile.read_text(), re.M | re.I)
    for image in dict.fromkeys(named):
        if not engine.has(image):
            make_base(engine, image)


def make_base(engine: Engine, image: str) -> None:
    """Make the stand-in of one image; takes about a minute and 300 MB."""
    version = re.match(r"python:(3\.\d+)", image)
    release = RELEASES.get(version[1]) if version is not None else None
    if release is None:
        raise ClusterNeedsError(
            f"no stand-in for {image}: Debian has Python {' and '.join(RELEASES)}"
        )
    if shutil.which("debootstrap") is None:
        raise ClusterNeedsError("a stand-in for a base image needs: apt-get install debootstrap")
    with tempfile.TemporaryDirectory() as folder:
        root, archive = Path(folder) / "root", Path(folder) / "root.tar"
        included = f"--include={','.join(PACKAGES)}"
        _run("debootstrap", "--variant=minbase", included, release, str(root))
        _furnish(root)
        _run("tar", "--create", "--file", str(archive), "--directory", str(root), ".")
        settings = [
            "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
            # A machine may reach its package index through a proxy that it trusts.
            f"ENV SSL_CERT_FILE={AUTHORITIES} PIP_CERT={AUTHORITIES}",
            'CMD ["python3"]',
        ]
        changes = [part for setting in settings for part in ("--change", setting)]
        engine.run("import", *changes, archive, image)


def _furnish(root: Path) -> None:
    """Give it what python's images have: python and pip below /usr/local, apart from Debian's."""
    _run("chroot", str(root), "python3", "-m", "venv", "/usr/local")
    shutil.copyfile(AUTHORITIES, root / AUTHORITIES.relative_to("/"))
    shutil.rmtree(root / "var/cache/apt/archives")


def _run(*command: str) -> None:
    done = subprocess.run(["nice", *command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise ImageError(f"{command[0]} failed:\n{said[-2000:]}")
