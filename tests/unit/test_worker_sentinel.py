"""A broker behind Sentinel needs no setting of the application's beside its address."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from kombu import Connection

from sluiceway_worker.behind_sentinel import (
    ENV_MASTER_NAME,
    for_kombu,
    name_the_server,
    settle_addresses,
)

ADDRESS = "sentinel://me:p%40ss@a:26380;sentinel://b:26379/3?master_name=shop"


@pytest.mark.parametrize("url", ["sentinel://a/3?master_name=m", ADDRESS])
def test_kombu_takes_an_address_that_a_taskqueue_has(url: str) -> None:
    with pytest.raises(TypeError, match="master_name"):
        Connection(url).switch(url.split(";")[-1])  # as it was given
    mended, _ = for_kombu(url)
    for piece in mended.split(";"):
        assert Connection(mended).switch(piece) is None


def test_whichever_sentinel_kombu_goes_on_to_it_has_the_database_and_the_login() -> None:
    mended, name = for_kombu(ADDRESS)
    assert name == "shop"
    assert mended == "sentinel://me:p%40ss@a:26380/3;sentinel://me:p%40ss@b:26379/3"


def test_the_options_of_tls_stay_in_the_address() -> None:
    mended, _ = for_kombu("sentinel://a/1?ssl_cert_reqs=none&master_name=m")
    assert mended == "sentinel://a/1?ssl_cert_reqs=none"


def test_other_brokers_stay_as_they_are() -> None:
    environ = {"CELERY_BROKER_URL": "redis://h/1?master_name=m"}
    settle_addresses(environ)
    assert environ == {"CELERY_BROKER_URL": "redis://h/1?master_name=m"}


def test_the_servers_name_is_added_to_the_applications_options_and_replaces_none() -> None:
    environ = {"CELERY_BROKER_URL": ADDRESS}
    settle_addresses(environ)
    settle_addresses(environ)  # a restart by SIGHUP finds what the first start left
    assert environ[ENV_MASTER_NAME] == "shop"
    conf = SimpleNamespace(broker_transport_options={"visibility_timeout": 5})
    name_the_server(conf, environ)
    assert conf.broker_transport_options == {"visibility_timeout": 5, "master_name": "shop"}
    own = SimpleNamespace(broker_transport_options={"master_name": "own"})
    name_the_server(own, environ)
    assert own.broker_transport_options == {"master_name": "own"}
