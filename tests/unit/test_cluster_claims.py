"""Who has a queue, or a Deployment, when several TaskQueues name it."""

from __future__ import annotations

from sluiceway.broker.address import parse_address
from sluiceway.broker.reading import BrokerQueue
from sluiceway.cluster.claims import Claim, Claims, DeploymentClaim, queue_claims


def claims_of(url: str, *queues: str, prefix: str = "") -> frozenset[Claim]:
    named = [BrokerQueue(name=queue, prefix=prefix) for queue in queues]
    return frozenset(queue_claims(parse_address(url), named))


URL = "redis://redis.shop.svc:6379/0"


def test_the_older_taskqueue_keeps_a_queue_that_a_younger_one_names_too() -> None:
    claims = Claims()
    claims.put("shop/young", "2026-02-02T00:00:00Z", claims_of(URL, "exports", "emails"))
    concerned = claims.put("shop/old", "2026-01-01T00:00:00Z", claims_of(URL, "exports"))
    assert concerned == {"shop/young"}
    assert claims.taken("shop/old") is None
    taken = claims.taken("shop/young")
    assert taken is not None
    claim, owner = taken
    assert owner == "shop/old"
    assert str(claim) == "queue exports of broker redis://redis.shop.svc:6379/0"


def test_a_queue_is_free_again_when_its_owner_lets_go_of_it() -> None:
    claims = Claims()
    claims.put("shop/old", "1", claims_of(URL, "exports"))
    claims.put("shop/young", "2", claims_of(URL, "exports"))
    assert claims.put("shop/old", "1", frozenset()) == {"shop/young"}
    assert claims.taken("shop/young") is None


def test_a_taskqueue_that_was_made_anew_is_younger_than_it_was() -> None:
    claims = Claims()
    claims.put("shop/a", "1", claims_of(URL, "exports"))
    claims.put("shop/b", "2", claims_of(URL, "exports"))
    assert claims.put("shop/a", "3", claims_of(URL, "exports")) == {"shop/b"}
    assert claims.taken("shop/b") is None
    assert claims.taken("shop/a") is not None


def test_the_same_name_in_another_database_or_under_another_prefix_is_another_queue() -> None:
    claims = Claims()
    claims.put("a/q", "1", claims_of(URL, "exports"))
    claims.put("b/q", "2", claims_of("redis://redis.shop.svc:6379/1", "exports"))
    claims.put("c/q", "3", claims_of(URL, "exports", prefix="shop:"))
    assert claims.taken("b/q") is None
    assert claims.taken("c/q") is None


def test_another_user_of_the_same_broker_does_not_make_it_another_queue() -> None:
    claims = Claims()
    claims.put("a/q", "1", claims_of(URL, "exports"))
    claims.put("b/q", "2", claims_of("redis://me:secret@redis.shop.svc:6379/0", "exports"))
    taken = claims.taken("b/q")
    assert taken is not None
    assert "secret" not in str(taken[0])


def test_one_deployment_is_scaled_by_one_taskqueue() -> None:
    claims = Claims()
    claims.put("shop/a", "1", frozenset({DeploymentClaim(key="shop/worker")}))
    claims.put("shop/b", "2", frozenset({DeploymentClaim(key="shop/worker")}))
    assert claims.taken("shop/b") == (DeploymentClaim(key="shop/worker"), "shop/a")
