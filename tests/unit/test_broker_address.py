"""Broker URLs mean here what they mean to Celery, and errors name the mend."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from kombu import Connection
from redis import SSLConnection

from sluiceway.broker.address import AddressError, BrokerAddress, Tls, parse_address

UNVERIFIED = Tls(cert_reqs="none", check_hostname=False)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", BrokerAddress(hosts=(("127.0.0.1", 6379),))),
        ("redis://redis", BrokerAddress(hosts=(("redis", 6379),))),
        ("redis://redis:6380/", BrokerAddress(hosts=(("redis", 6380),))),
        ("redis://redis//3", BrokerAddress(hosts=(("redis", 6379),), db=3)),
        ("redis://[::1]:6380/1", BrokerAddress(hosts=(("::1", 6380),), db=1)),
        (
            "redis://:p%40ss%2Fw%23rd@redis/0",
            BrokerAddress(hosts=(("redis", 6379),), password="p@ss/w#rd"),
        ),
        (
            "redis://us%3Aer:pw@redis/0",
            BrokerAddress(hosts=(("redis", 6379),), username="us:er", password="pw"),
        ),
        ("rediss://redis/0", BrokerAddress(hosts=(("redis", 6379),), tls=UNVERIFIED)),
        (
            "rediss://redis/0?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs=%2Fca.crt",
            BrokerAddress(hosts=(("redis", 6379),), tls=Tls(ca_certs="/ca.crt")),
        ),
        (
            "rediss://redis/0?ssl_cert_reqs=none",
            BrokerAddress(hosts=(("redis", 6379),), tls=UNVERIFIED),
        ),
        (
            "redis://redis/0?ssl_certfile=/c&ssl_keyfile=/k&ssl_check_hostname=False",
            BrokerAddress(
                hosts=(("redis", 6379),),
                tls=Tls(certfile="/c", keyfile="/k", check_hostname=False),
            ),
        ),
        (
            "redis+socket:///run/redis/redis.sock?virtual_host=4",
            BrokerAddress(socket_path="/run/redis/redis.sock", db=4),
        ),
        (
            "sentinel://:pw@a:26380/5?master_name=main;sentinel://b",
            BrokerAddress(
                hosts=(("a", 26380), ("b", 26379)), db=5, password="pw", master_name="main"
            ),
        ),
        (
            "sentinel://a;sentinel://b/5?master_name=main",
            BrokerAddress(hosts=(("a", 26379), ("b", 26379)), db=5, master_name="main"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_url_is_read(url: str, expected: BrokerAddress) -> None:
    assert parse_address(url) == expected


def as_kombu_connects(url: str) -> dict[str, Any]:
    """What kombu would give redis-py for this URL; nothing is connected."""
    transport = Connection(url).transport
    channel = object.__new__(transport.Channel)
    channel.connection = transport
    params: dict[str, Any] = channel._connparams()
    return params


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://redis",
        "redis://redis:6380//3",
        "redis://redis/7",
        "redis://:p%40ss%2Fw@redis/0",
        "redis://user:pw@redis:1234/2",
        "redis://pw@redis/2",
        "redis://REDIS.Example/0",
        "rediss://redis/0",
        "rediss://redis/0?ssl_cert_reqs=CERT_NONE",
        "rediss://redis/0?ssl_cert_reqs=required&ssl_ca_certs=/ca.crt",
        "redis://redis/0?ssl_certfile=/c&ssl_keyfile=/k&ssl_check_hostname=false",
        "redis+socket:///run/redis/redis.sock?virtual_host=4",
        "redis+socket://user:p%40w@/r.sock",
    ],
)
def test_a_url_means_what_kombu_makes_of_it(url: str) -> None:
    kombu = as_kombu_connects(url)
    address = parse_address(url)
    (host, port), *_ = address.hosts or ((None, None),)
    assert (host, port) == (kombu.get("host"), kombu.get("port"))
    assert address.socket_path == kombu.get("path")
    assert address.username == kombu["username"]
    assert address.password == kombu["password"]
    assert address.db == kombu["db"]
    encrypted = issubclass(kombu["connection_class"], SSLConnection)
    assert (address.tls is not None) == encrypted
    if address.tls is not None:
        verify = {"required": ssl.CERT_REQUIRED, "none": ssl.CERT_NONE}[address.tls.cert_reqs]
        assert verify == kombu.get("ssl_cert_reqs", ssl.CERT_REQUIRED)
        assert address.tls.ca_certs == kombu.get("ssl_ca_certs")
        assert address.tls.certfile == kombu.get("ssl_certfile")
        assert address.tls.keyfile == kombu.get("ssl_keyfile")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis", "needs a scheme"),
        ("amqp://rabbit//", "Celery on Redis, not amqp://"),
        ("unix:///run/redis.sock", "redis+socket:///"),
        ("redis+cluster://redis/0", "does not run on Redis Cluster"),
        ("redis://a/0;redis://b/0", "only for sentinel://"),
        ("redis://redis/first", "the database is a number"),
        ("redis://redis:port/0", "cannot be read"),
        ("redis://:top#secret@redis/0", "percent-encoded"),
        ("redis://:top/secret@redis/0", "percent-encoded"),
        ("redis+socket://", "needs a path"),
        ("sentinel://a:26379/0", "append ?master_name="),
        ("sentinel://a;redis://b?master_name=m", "starts with sentinel://"),
        ("rediss://redis/0?ssl_cert_reqs=maybe", "write required, optional or none"),
        ("rediss://redis/0?ssl_ca_cert=/ca.crt", "ssl_ca_cert is not known"),
    ],
)
def test_a_url_that_cannot_be_used_is_a_sentence_with_the_mend(url: str, says: str) -> None:
    with pytest.raises(AddressError, match=r".") as caught:
        parse_address(url)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hunter2@redis/3", "redis://redis:6379/3"),
        ("rediss://user:hunter2@redis/3", "rediss://user@redis:6379/3"),
        ("redis://:hunter2@[::1]/0", "redis://[::1]:6379/0"),
        ("redis+socket:///r.sock?virtual_host=1", "redis+socket:///r.sock?virtual_host=1"),
        (
            "sentinel://:hunter2@a;sentinel://b/1?master_name=m",
            "sentinel://a:26379;b:26379/1?master_name=m",
        ),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    address = parse_address(url)
    assert str(address) == shown
    assert "hunter2" not in repr(address)


def test_the_same_place_is_one_address_and_other_credentials_another() -> None:
    assert {parse_address("redis://redis"), parse_address("redis://redis:6379/0")} == {
        parse_address("redis://redis/")
    }
    assert parse_address("redis://:a@redis") != parse_address("redis://:b@redis")
