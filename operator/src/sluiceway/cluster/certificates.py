"""The certificates that the operator itself shows a broker, and whom it trusts there.

The files that a broker's URL names are in the workers' pods, where the operator cannot
read them. It takes the same from a Secret, as cert-manager writes it, and keeps it as
files of its own: TLS libraries want files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sluiceway.broker.address import BrokerAddress, Tls
from sluiceway.cluster.setup import SetupError
from sluiceway.kube.secrets import Absent, Holder, KeyReader, KeyRef

CA, CERTIFICATE, KEY = "ca.crt", "tls.crt", "tls.key"


def refs_of(namespace: str, secret: str) -> tuple[KeyRef, ...]:
    """The keys of a Secret that are looked at, whether it has them or not."""
    return tuple(
        KeyRef(holder=Holder.SECRET, namespace=namespace, name=secret, key=key)
        for key in (CA, CERTIFICATE, KEY)
    )


class Certificates:
    """Reads them from Secrets and lays them into a folder."""

    def __init__(self, keys: KeyReader, folder: Path) -> None:
        """Read nothing yet.

        Args:
            folder: exists, and is nobody else's to read.
        """
        self._keys = keys
        self._folder = folder

    async def on(self, address: BrokerAddress, *, namespace: str, secret: str) -> BrokerAddress:
        """The address with the certificates of this Secret.

        Raises:
            SetupError: the address is not encrypted, or the Secret has nothing to use.
        """
        if address.tls is None:
            raise SetupError(
                "BrokerUrlInvalid",
                "spec.broker.tls is given, and the broker's address is not encrypted: write "
                "rediss:// in place of redis://, or remove tls",
            )
        texts: dict[str, str] = {}
        problems = []
        for ref in refs_of(namespace, secret):
            found = await self._keys.read(ref)
            if found.value is not None:
                texts[ref.key] = found.value
            elif found.absent is Absent.KEY:
                problems.append(found.problem)
            else:
                # What could not be read may be there: to connect without it would trust anybody.
                raise SetupError("BrokerTlsUnknown", f"spec.broker.tls.secretName: {found.problem}")
        if CA not in texts and CERTIFICATE not in texts:
            raise SetupError("BrokerTlsUnknown", f"spec.broker.tls.secretName: {problems[0]}")
        if (CERTIFICATE in texts) is not (KEY in texts):
            raise SetupError("BrokerTlsUnknown", f"spec.broker.tls.secretName: {problems[-1]}")
        return replace(address, tls=self._with_files(address.tls, texts))

    def _with_files(self, tls: Tls, texts: Mapping[str, str]) -> Tls:
        # Whom to trust is given: an address that does not verify by itself does now.
        trusts = CA in texts
        return replace(
            tls,
            cert_reqs="required" if trusts else tls.cert_reqs,
            check_hostname=tls.check_hostname or (trusts and tls.cert_reqs == "none"),
            ca_certs=self._file(texts.get(CA)),
            certfile=self._file(texts.get(CERTIFICATE)),
            keyfile=self._file(texts.get(KEY)),
        )

    def _file(self, text: str | None) -> str | None:
        """A file with this text; the same text is the same file, another one another."""
        if text is None:
            return None
        path = self._folder / hashlib.sha256(text.encode()).hexdigest()[:32]
        if not path.exists():
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(opened, "w") as file:
                file.write(text)
        return str(path)
