"""The certificates for the operator's own connection to an encrypted broker."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from sluiceway.broker.address import parse_address
from sluiceway.cluster.certificates import Certificates
from sluiceway.cluster.setup import SetupError
from sluiceway.kube.errors import KubeError
from sluiceway.kube.secrets import KeyReader


class Server:
    """Has one Secret, with these keys."""

    def __init__(self, **keys: str) -> None:
        self._data = {
            name.replace("_", "."): base64.b64encode(text.encode()).decode()
            for name, text in keys.items()
        }

    async def request(self, method: str, path: str) -> bytes:
        if path != "/api/v1/namespaces/shop/secrets/redis-tls":
            raise KubeError("not found", status=404)
        return json.dumps({"data": self._data}).encode()


def certificates(folder: Path, **keys: str) -> Certificates:
    return Certificates(KeyReader(Server(**keys)), folder)


def text_of(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def mode_of(path: str) -> int:
    return Path(path).stat().st_mode


async def test_a_ca_makes_an_address_that_did_not_verify_do_so(tmp_path: Path) -> None:
    plain = parse_address("rediss://redis:6379/0")
    found = await certificates(tmp_path, ca_crt="the CA").on(
        plain, namespace="shop", secret="redis-tls"
    )
    assert found.tls is not None
    assert (found.tls.cert_reqs, found.tls.check_hostname) == ("required", True)
    assert found.tls.ca_certs is not None
    assert text_of(found.tls.ca_certs) == "the CA"
    assert mode_of(found.tls.ca_certs) & 0o077 == 0


async def test_a_client_certificate_comes_with_its_key(tmp_path: Path) -> None:
    address = parse_address("rediss://redis:6379/0?ssl_check_hostname=false")
    found = await certificates(tmp_path, ca_crt="ca", tls_crt="crt", tls_key="key").on(
        address, namespace="shop", secret="redis-tls"
    )
    assert found.tls is not None
    assert found.tls.certfile is not None
    assert found.tls.keyfile is not None
    assert text_of(found.tls.certfile) == "crt"
    assert text_of(found.tls.keyfile) == "key"
    assert not found.tls.check_hostname, "as the address asks for"


async def test_a_new_certificate_is_another_address_so_that_it_is_dialled_anew(
    tmp_path: Path,
) -> None:
    address = parse_address("rediss://redis:6379/0")
    first, second, again = [
        await certificates(tmp_path, ca_crt=text).on(address, namespace="shop", secret="redis-tls")
        for text in ("old", "new", "new")
    ]
    assert first != second
    assert second == again


@pytest.mark.parametrize(
    ("url", "secret", "keys", "part"),
    [
        ("redis://redis:6379/0", "redis-tls", {"ca_crt": "ca"}, "write rediss://"),
        ("rediss://redis:6379/0", "absent", {}, "Secret shop/absent does not exist"),
        ("rediss://redis:6379/0", "redis-tls", {"other": "x"}, "has no key «ca.crt»"),
        ("rediss://redis:6379/0", "redis-tls", {"tls_crt": "x"}, "has no key «tls.key»"),
    ],
    ids=["not encrypted", "no Secret", "nothing in it", "half of a pair"],
)
async def test_what_cannot_be_used_is_named_with_the_mend(
    tmp_path: Path, url: str, secret: str, keys: dict[str, str], part: str
) -> None:
    with pytest.raises(SetupError, match=r"spec\.broker") as refusal:
        await certificates(tmp_path, **keys).on(parse_address(url), namespace="shop", secret=secret)
    assert part in str(refusal.value)


async def test_a_ca_that_cannot_be_read_at_the_moment_is_not_done_without(tmp_path: Path) -> None:
    class Stumbles(Server):
        async def request(self, method: str, path: str) -> bytes:
            self.asked = getattr(self, "asked", 0) + 1
            if self.asked == 1:
                raise KubeError("it has a problem of its own", status=503)
            return await super().request(method, path)

    keys = KeyReader(Stumbles(ca_crt="ca", tls_crt="crt", tls_key="key"))
    with pytest.raises(SetupError, match="cannot be read"):
        await Certificates(keys, tmp_path).on(
            parse_address("rediss://redis:6379/0"), namespace="shop", secret="redis-tls"
        )
