"""TLS to a real server, and what is said where the two sides do not fit.

The embedded server is built without TLS, so it stands behind an ending of TLS, as
many managed ones do.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from contextlib import asynccontextmanager, suppress

import pytest

from sluiceway.broker.connection import Brokers
from sluiceway.observe import BrokerReader, Waking

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="needs openssl on the PATH to make a certificate"
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost that is its own CA: (certificate, key)."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "ca.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(
        [*make.split(), *names, "-keyout", key, "-out", cert], check=True, capture_output=True
    )
    return cert, key


@pytest.fixture
async def tls_port(certificate, redis_server):
    """The port at which the test's server speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    async with before(redis_server, context) as port:
        yield port


@pytest.fixture
async def mutual_port(certificate, redis_server):
    """The same, for clients that show a certificate of the same authority only."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate[0])
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*certificate)
    async with before(redis_server, context) as port:
        yield port


@asynccontextmanager
async def before(redis_server, context):
    """An ending of TLS before the test's server: its port."""

    async def pass_on(source, sink):
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def serve(reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", redis_server.port)
        await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_a_certificate_of_a_given_ca_is_trusted(
    tls_port, certificate, a_fleet, look, redis_server
):
    redis_server.client().lpush("video", "{}")
    ca, _ = certificate
    url = f"rediss://localhost:{tls_port}/0?ssl_cert_reqs=required&ssl_ca_certs={ca}"
    observation = await look(a_fleet("video", url=url))
    assert (observation.broker_problem, observation.queues[0].length) == (None, 1)


async def test_a_certificate_of_an_unknown_ca_is_refused_with_the_mend(tls_port, a_fleet, look):
    url = f"rediss://localhost:{tls_port}/0?ssl_cert_reqs=required"
    assert "ssl_ca_certs" in (await look(a_fleet("video", url=url))).broker_problem


async def test_a_client_certificate_is_shown_to_a_server_that_asks_for_one(
    mutual_port, certificate, a_fleet, look, redis_server
):
    redis_server.client().lpush("video", "{}")
    cert, key = certificate
    own = f"ssl_certfile={cert}&ssl_keyfile={key}"
    url = f"rediss://localhost:{mutual_port}/0?ssl_cert_reqs=required&ssl_ca_certs={cert}"
    assert (await look(a_fleet("video", url=f"{url}&{own}"))).queues[0].length == 1
    assert (await look(a_fleet("video", url=url))).broker_problem is not None


async def test_a_ca_file_that_does_not_exist_is_said(tls_port, a_fleet, look):
    url = f"rediss://localhost:{tls_port}/0?ssl_ca_certs=/no/such/ca.pem"
    assert "check the path" in (await look(a_fleet("video", url=url))).broker_problem


async def test_waking_works_over_tls(tls_port, a_fleet, redis_server):
    video = a_fleet("video", url=f"rediss://localhost:{tls_port}/0")
    waking = Waking()
    await waking.arm([video], acting={video.key})
    while waking.problem(video) is not None:
        await waking.wait(0.01)
    redis_server.client().lpush("video", "{}")
    assert await waking.wait(60.0) == {video.key}
    await waking.close()


async def test_without_options_nothing_is_verified_as_in_celery(tls_port, a_fleet, look):
    assert (await look(a_fleet("video", url=f"rediss://localhost:{tls_port}/0"))).known


async def test_a_plain_url_to_a_tls_server_is_said(tls_port, a_fleet, look):
    observation = await look(a_fleet("video", url=f"redis://127.0.0.1:{tls_port}/0"))
    assert "write rediss://" in observation.broker_problem


async def test_tls_to_a_plain_server_is_said(a_fleet, redis_server):
    fleet = a_fleet("video", url=f"rediss://127.0.0.1:{redis_server.port}/0")
    brokers = Brokers(timeout_s=0.3)
    problem = (await BrokerReader(brokers).read([fleet])).of(fleet).problem
    assert "does not speak TLS" in problem
    await brokers.close()
