"""etcd, API server, controller manager and scheduler, without any node.

Enough Kubernetes to apply CRDs, to watch, to make Deployments and pods that
wait for a node; ready in seconds, without root. RBAC is on, as on any cluster
that people use. Everything listens on one address, by default of loopback.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from testcluster import audit
from testcluster.build import Programs
from testcluster.credentials import ADMIN, Credentials
from testcluster.kubectl import Kubectl
from testcluster.processes import Process, free_ports

START_SECONDS = 60.0
"""More than ten times what a start takes on two idle cores."""

SERVICE_RANGE = "10.0.0.0/24"
SERVICE_ADDRESS = "10.0.0.1"
"""The first of the range: where pods find the `kubernetes` Service."""


class ControlPlane:
    """A Kubernetes of one's own, as a context manager.

    >>> with ControlPlane(ensure_built(), folder) as cluster:
    ...     cluster.kubectl.apply(manifest)
    """

    def __init__(
        self,
        programs: Programs,
        folder: Path,
        *,
        address: str = "127.0.0.1",
        nodes: tuple[str, ...] = (),
        entry: tuple[str, ...] = (),
    ) -> None:
        """
        Args:
            programs: what :func:`testcluster.build.ensure_built` returned.
            folder: for data, logs and credentials; made if it is not there.
            address: what the API server listens on and tells pods.
            nodes: names of nodes that will join.
            entry: a command that runs another in the network that `address` is
                in; empty for the host's own.
        """
        self._entry = entry
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.programs = programs
        self.address = address
        # Three different ones; free on the host, and in an empty network all are.
        self.port, etcd_port, etcd_peer_port = free_ports(3)
        self.url = f"https://{address}:{self.port}"
        self.etcd_url = f"http://127.0.0.1:{etcd_port}"
        self.credentials = Credentials(self.folder / "credentials", self.url, nodes)
        self.etcd = self._program(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-url={self.etcd_url}",
            f"--listen-peer-url=http://127.0.0.1:{etcd_peer_port}",
        )
        self.api_server = self._program("kube-apiserver", *self._api_server_flags(etcd_port))
        self.controller_manager = self._component(
            "kube-controller-manager",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={self.credentials.file('service-accounts.key')}",
            f"--root-ca-file={self.credentials.authority}",
        )
        self.scheduler = self._component("kube-scheduler")

    @property
    def kubectl(self) -> Kubectl:
        """kubectl as the administrator, in the namespace `default`."""
        return Kubectl(program=self.programs.kubectl, kubeconfig=self.credentials.kubeconfig(ADMIN))

    @property
    def audit_log(self) -> Path:
        """What service accounts have asked for, for :mod:`testcluster.audit`."""
        return self.folder / "audit.log"

    @property
    def processes(self) -> tuple[Process, ...]:
        """In the order in which they start."""
        return (self.etcd, self.api_server, self.controller_manager, self.scheduler)

    def start(self) -> None:
        """Return once objects can be made, and the controllers look after them.

        Raises:
            StartError: a program ended or hung; the message has its log.
        """
        if not self.credentials.authority.exists():
            self.credentials.write(self.programs, (self.address, "127.0.0.1", SERVICE_ADDRESS))
        self._audit_policy.write_text(audit.POLICY)
        self.etcd.start()
        self.start_api_server()
        self.controller_manager.start()
        self.scheduler.start()
        # The controllers made the first service account: namespaces are now filled.
        self.controller_manager.wait_until(
            lambda: self._answers("/api/v1/namespaces/default/serviceaccounts/default"),
            START_SECONDS,
        )

    def stop(self) -> None:
        """End all programs, the last started first; data and credentials stay."""
        for process in reversed(self.processes):
            process.stop()

    def start_api_server(self) -> None:
        """Start the API server alone; returns once it says that it is ready."""
        self.api_server.start()
        self.api_server.wait_until(lambda: self._answers("/readyz"), START_SECONDS)

    def stop_api_server(self) -> None:
        """End it at once: connections break, and are refused from now on.

        Asked to go in good order, it would first wait for its clients' watches,
        which the controllers never end. It keeps nothing in memory that counts.
        """
        self.api_server.crash()

    def restart_api_server(self) -> None:
        """A crash and a return at the same address; all watches break."""
        self.stop_api_server()
        self.start_api_server()

    def kubeconfig_for(self, service_account: str, namespace: str) -> Path:
        """A kubeconfig with a token of an existing service account, as a pod would have it."""
        token = self.kubectl.within(namespace).run(
            "create", "token", service_account, "--duration", "24h"
        )
        path = self.credentials.file(f"{namespace}-{service_account}.kubeconfig")
        return self.credentials.write_kubeconfig(path, token.strip(), namespace)

    def service_account(
        self,
        name: str,
        namespace: str,
        rules: list[dict[str, Any]],
        *,
        cluster_wide: bool = False,
    ) -> Path:
        """Make a service account that may do what `rules` say, and nothing else.

        Args:
            name: of the account, its role and its binding.
            namespace: where it lives.
            rules: PolicyRules (`apiGroups`, `resources`, `verbs`, …).
            cluster_wide: whether they hold in all namespaces.

        Returns:
            A kubeconfig for it.
        """
        scope = "Cluster" if cluster_wide else ""
        group = "rbac.authorization.k8s.io"
        account = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        # Cluster-scoped names are shared: two namespaces may ask for the same name.
        metadata = {"name": f"{namespace}-{name}"} if cluster_wide else {"name": name}
        items: list[dict[str, Any]] = [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
            {
                "apiVersion": f"{group}/v1",
                "kind": f"{scope}Role",
                "metadata": metadata,
                "rules": rules,
            },
            {
                "apiVersion": f"{group}/v1",
                "kind": f"{scope}RoleBinding",
                "metadata": metadata,
                "roleRef": {"apiGroup": group, "kind": f"{scope}Role", **metadata},
                "subjects": [account],
            },
        ]
        self.kubectl.within(namespace).apply(
            json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        )
        return self.kubeconfig_for(name, namespace)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def _audit_policy(self) -> Path:
        return self.folder / "audit-policy.json"

    def _program(self, name: str, *flags: str) -> Process:
        command = [*self._entry, str(self.programs.kube), name, *flags]
        return Process(name, command, log=self.folder / f"{name}.log")

    def _component(self, name: str, *flags: str) -> Process:
        """A program that works through the API as the user named after it."""
        return self._program(
            name,
            f"--kubeconfig={self.credentials.kubeconfig(f'system:{name}')}",
            "--leader-elect=false",
            "--secure-port=0",
            # The default of 20 requests a second is what a start would wait for.
            "--kube-api-qps=500",
            "--kube-api-burst=500",
            *flags,
        )

    def _api_server_flags(self, etcd_port: int) -> list[str]:
        file = self.credentials.file
        return [
            f"--etcd-servers=http://127.0.0.1:{etcd_port}",
            f"--bind-address={self.address}",
            f"--advertise-address={self.address}",
            f"--secure-port={self.port}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            f"--tls-cert-file={file('apiserver.crt')}",
            f"--tls-private-key-file={file('apiserver.key')}",
            f"--client-ca-file={self.credentials.authority}",
            f"--token-auth-file={self.credentials.token_file}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={file('service-accounts.pub')}",
            f"--service-account-signing-key-file={file('service-accounts.key')}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--audit-policy-file={self._audit_policy}",
            f"--audit-log-path={self.audit_log}",
            f"--kubelet-client-certificate={file('kubelet-client.crt')}",
            f"--kubelet-client-key={file('kubelet-client.key')}",
            # `kubectl logs` and `exec` would otherwise look the node's name up in DNS.
            "--kubelet-preferred-address-types=InternalIP",
        ]

    def _answers(self, path: str) -> bool:
        """Whether a GET of `path` succeeds; no kubectl, so that waiting stays cheap."""
        token = self.credentials.users[ADMIN].token
        request = urllib.request.Request(
            self.url + path, headers={"Authorization": f"Bearer {token}"}
        )
        trust = ssl.create_default_context(cafile=str(self.credentials.authority))
        try:
            with urllib.request.urlopen(request, timeout=5, context=trust) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
