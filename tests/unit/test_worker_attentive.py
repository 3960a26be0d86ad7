"""Which of a server's refusals cost it its connections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from kombu.transport import redis as redis_transport

from sluiceway_worker import attentive
from sluiceway_worker.attentive import Attentive, leave_replicas, word_of

kombu_redis: Any = redis_transport


@pytest.mark.parametrize(
    ("exc", "word"),
    [
        (redis.ReadOnlyError("You can't write against a read only replica."), "READONLY"),
        (redis.exceptions.MasterDownError("Link with MASTER is down"), "MASTERDOWN"),
        (redis.exceptions.ClusterDownError("The cluster is down"), "CLUSTERDOWN"),
        (redis.ResponseError("UNBLOCKED force unblock from blocking operation"), "UNBLOCKED"),
        (redis.ResponseError("NOREPLICAS Not enough good replicas to write."), "NOREPLICAS"),
        (redis.ResponseError("MISCONF Errors writing to the AOF file"), "MISCONF"),
        (redis.ResponseError("OOM command not allowed when used memory > 'maxmemory'."), "OOM"),
        # A script's, before Redis 7.
        (
            redis.ResponseError(
                "Error running script (call to f_2b): @user_script:7: @user_script: 7: "
                "-READONLY You can't write against a read only replica."
            ),
            "READONLY",
        ),
        (redis.ResponseError("WRONGTYPE Operation against a key"), ""),
        (redis.exceptions.NoPermissionError("this user has no permissions"), ""),
        (redis.ResponseError("BUSYGROUP Consumer Group name already exists"), ""),
    ],
)
def test_the_word_is_found_wherever_the_client_has_left_it(exc: Exception, word: str) -> None:
    assert word_of(exc) == word


class Connection:
    """One whose server refuses all."""

    def __init__(self, refusal: Exception) -> None:
        self.refusal = refusal
        self.stands = True

    def read_response(self, **_: Any) -> Any:
        raise self.refusal

    def disconnect(self) -> None:
        self.stands = False


class Followed(Attentive, Connection):
    """The same, as publishers have it."""


def test_who_does_not_lead_any_more_is_left() -> None:
    connection = Followed(redis.ReadOnlyError("You can't write against a read only replica."))
    with pytest.raises(redis.ConnectionError, match="it is a replica by now"):
        connection.read_response()
    assert not connection.stands


def test_a_publisher_hears_of_what_is_no_failover() -> None:
    connection = Followed(redis.ResponseError("OOM command not allowed"))
    with pytest.raises(redis.ResponseError, match="OOM"):
        connection.read_response()
    assert connection.stands


@pytest.fixture
def kombus() -> Iterator[None]:
    """kombu's own classes are back afterwards."""
    owners = [kombu_redis.Channel, kombu_redis.SentinelChannel]
    before = [dict(vars(owner)) for owner in owners]
    yield
    for owner, names in zip(owners, before, strict=True):
        for name in ("connection_class", "connection_class_ssl"):
            if name in names:
                setattr(owner, name, names[name])


@pytest.mark.usefixtures("kombus")
def test_kombu_is_told_once_however_often_it_is_asked_for() -> None:
    leave_replicas()
    plain, sentinels = kombu_redis.Channel, kombu_redis.SentinelChannel
    once = (plain.connection_class, plain.connection_class_ssl, sentinels.connection_class)
    assert all(issubclass(one, Attentive) for one in once)
    leave_replicas()
    assert once == (plain.connection_class, plain.connection_class_ssl, sentinels.connection_class)


def test_a_refusal_that_passes_and_one_that_does_not_are_told_apart() -> None:
    assert not set(attentive.NOT_HERE) & set(attentive.NOT_NOW)
