"""Who may talk to the control plane, and the kubeconfig files that let them.

Certificates and the key for service account tokens come from the programs'
own ``credentials`` command. People and components bring bearer tokens, which
the API server reads from one file as it starts.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from testcluster.build import Programs


@dataclass(frozen=True, kw_only=True)
class User:
    """A name with groups, as RBAC sees it, and the token that proves it."""

    name: str
    groups: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)


ADMIN = "admin"
COMPONENTS = ("system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy")
"""Users whose roles the API server brings along."""


class Credentials:
    """The files below one folder; written once, kept over restarts."""

    def __init__(self, folder: Path, server: str, nodes: tuple[str, ...] = ()) -> None:
        """
        Args:
            folder: where everything goes; made if it is not there.
            server: the API server's address as clients reach it, https://…
            nodes: names of nodes, each of which gets a user of its own.
        """
        self.folder = folder
        self.server = server
        self.users = {
            user.name: user
            for user in (
                User(name=ADMIN, groups=("system:masters",)),
                *(User(name=name) for name in COMPONENTS),
                *(User(name=f"system:node:{node}", groups=("system:nodes",)) for node in nodes),
            )
        }

    @property
    def authority(self) -> Path:
        """The certificate that signs all others."""
        return self.file("ca.crt")

    @property
    def token_file(self) -> Path:
        return self.file("tokens.csv")

    def file(self, name: str) -> Path:
        return self.folder / name

    def kubeconfig(self, user: str = ADMIN) -> Path:
        return self.file(f"{user.replace(':', '-')}.kubeconfig")

    def write(self, programs: Programs, addresses: tuple[str, ...]) -> None:
        """Make everything; `addresses` are the IPs the serving certificate is good for."""
        self.folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [
                programs.kube,
                "credentials",
                f"--folder={self.folder}",
                f"--addresses={','.join(addresses)}",
            ],
            check=True,
            capture_output=True,
        )
        self.token_file.touch(mode=0o600)
        self.token_file.write_text(
            "".join(
                f'{user.token},{user.name},{user.name},"{",".join(user.groups)}"\n'
                for user in self.users.values()
            )
        )
        for user in self.users.values():
            self.write_kubeconfig(self.kubeconfig(user.name), user.token)

    def write_kubeconfig(self, path: Path, token: str, namespace: str = "default") -> Path:
        """A kubeconfig for whoever holds `token`; JSON, which is YAML."""
        path.touch(mode=0o600)
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [
                        {
                            "name": "test",
                            "cluster": {
                                "server": self.server,
                                "certificate-authority": str(self.authority),
                            },
                        }
                    ],
                    "users": [{"name": "test", "user": {"token": token}}],
                    "contexts": [
                        {
                            "name": "test",
                            "context": {"cluster": "test", "user": "test", "namespace": namespace},
                        }
                    ],
                    "current-context": "test",
                },
                indent=2,
            )
        )
        return path
