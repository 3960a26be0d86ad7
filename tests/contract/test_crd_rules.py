"""Each rule, case by case: the API server's CEL and our Python must say the same.

The nodes are as they are after defaulting. Every rule has nodes that keep it and nodes
that break it; a rule without both fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluiceway.api import duration, quantity
from sluiceway.api.rule import Rule
from sluiceway.api.rules import RULES

Evaluate = Callable[[str, Any], Any]

EVERY_RULE = [
    duration.FORM,
    duration.POSITIVE,
    quantity.FORM,
    *RULES["TaskQueue"],
    *RULES["WorkerClass"],
]


def spec(longest: str = "10m", timeout: str | None = None, **more: Any) -> dict[str, Any]:
    broker = {"separator": "\x06\x16", "prioritySteps": [0, 3, 6, 9]}
    if timeout is not None:
        broker["visibilityTimeout"] = timeout
    return {"worker": {"app": "a", "longestTask": longest}, "broker": broker, **more}


def with_separator(separator: str, queues: list[str]) -> dict[str, Any]:
    return {"broker": {"separator": separator}, "queues": queues}


CASES: dict[str, tuple[list[Any], list[Any]]] = {
    "a duration has the form 1h30m": (
        ["30s", "0s", "2h", "1h30m", "500ms", "1h0m5s10ms", "999999h"],
        [
            "",
            "30",
            "-30s",
            "1.5h",
            "30 s",
            "30sec",
            "1d",
            "30m1h",
            "s",
            "1h1h",
            "9999999h",
            "30s\n",
        ],
    ),
    "a duration has the form 1h30m and is above zero": (
        ["30s", "1ms", "0h10m", "100h"],
        ["", "0s", "0h0m", "00ms", "10", "-1s", "1.5s", "1week"],
    ),
    "a quantity is a number with a suffix that Kubernetes knows": (
        [0, 4, "2", "0.5", "500m", "2Gi", "1.5Ki", "3M"],
        [-1, "", "-1", "1.5.5", "2GB", "two", "1e3", "Gi", " 2"],
    ),
    "the name fits into a label": (
        [{"metadata": {"name": "exports"}}, {"metadata": {"name": "a" * 63}}],
        [{"metadata": {"name": "a" * 64}}],
    ),
    "a long task is not delivered twice": (
        [
            spec(),
            spec("2h", "3h"),
            spec("59m59s", "1h"),
            spec("90m", "5401s"),
            spec("bad", "1h"),
            spec("2h", "bad"),
            {"broker": {"visibilityTimeout": "1h"}},
        ],
        [spec("2h", "1h"), spec("1h", "1h"), spec("60m", "3600s"), spec("1001ms", "1s")],
    ),
    "no queue name contains the separator": (
        [
            {"broker": {"separator": ":"}},
            with_separator(":", ["a", "b-c"]),
            with_separator("\x06\x16", ["a:b"]),
        ],
        [with_separator(":", ["a", "b:c"]), with_separator("\x06\x16", ["a\x06\x163"])],
    ),
    "no queue is listed twice": (
        [["a"], ["a", "b"], ["a", "A"], []],
        [["a", "a"], ["b", "a", "b"]],
    ),
    "a queue name can be told to celery worker -Q": (
        ["a", "exports", "high.priority", "a b", "{shop}-mails", "überweisungen", "a:b"],
        ["", "a,b", ",", " a", "a ", "a\nb", "a\x06\x163"],
    ),
    "the address is told in one way": (
        [{}, {"url": "redis://r"}, {"urlFrom": {"env": "A"}}],
        [{"url": "redis://r", "urlFrom": {"env": "A"}}],
    ),
    "the address is read from one place": (
        [
            {"env": "A"},
            {"secretKeyRef": {"name": "a", "key": "b"}},
            {"configMapKeyRef": {"name": "a", "key": "b"}},
        ],
        [{}, {"env": "A", "secretKeyRef": {"name": "a", "key": "b"}}],
    ),
    "the broker is no Redis Cluster": (
        ["redis://r/0", "redis://cluster.example/0", "amqp://cluster"],
        ["redis+cluster://r", "rediscluster://r", "redis-cluster://r/0", "rediss+cluster://r"],
    ),
    "the broker is a Redis": (
        [
            "redis://r",
            "rediss://r:6380/1",
            "sentinel://s?master_name=m",
            "redis+socket:///run/redis.sock",
            "rediscluster://r",
        ],
        [
            "amqp://r",
            "sqs://",
            "r:6379",
            "http://r",
            "Redis://r",
            "unix:///run/redis.sock",
            "memory://",
        ],
    ),
    "the address has a host and the number of a database": (
        [
            "redis://redis:6379/0",
            "redis://redis",
            "redis:///1",
            "redis://:p%2Fw@redis:6379/15",
            "rediss://r/0?ssl_cert_reqs=required",
            "redis://[::1]:6379/0",
            "sentinel://a:26379;sentinel://b:26379/0?master_name=m",
            "amqp://r/vhost",
        ],
        [
            "redis://r/queue",
            "redis://:p/w@r/0",
            "redis://a;redis://b",
            "redis://r/0/1",
            "redis://r/0#a",
        ],
    ),
    "a Sentinel address has a master's name": (
        [
            {},
            {"url": "redis://r/0"},
            {"url": "sentinel://s/0?master_name=mymaster"},
            {"url": "sentinel://a;sentinel://b/0?ssl_cert_reqs=none&master_name=m"},
            {"url": "sentinel://s/0", "masterName": "mymaster"},
            {"urlFrom": {"env": "A"}, "masterName": "mymaster"},
        ],
        [
            {"url": "sentinel://s/0"},
            {"url": "sentinel://s?master_name="},
            {"url": "sentinel://s/0?name=mymaster"},
        ],
    ),
    "the priority steps begin at 0": (
        [[0], [0, 3, 6, 9], [0, 0]],
        [[1], [3, 6, 9], [9, 0]],
    ),
    "the priority steps rise": (
        [[0], [0, 3, 6, 9], [1, 2], list(range(10))],
        [[0, 0], [0, 6, 3], [9, 0], [0, 1, 2, 3, 4, 5, 6, 7, 9, 8]],
    ),
    "workers run an application": (
        [{"worker": {"app": "a"}}, {"worker": {"deploymentRef": {"name": "d"}}}],
        [{}, {"worker": {}}, {"worker": {"image": "i"}}, {"worker": {"like": {"name": "web"}}}],
    ),
    "in a cluster workers have an image": (
        [
            {},
            {"app": "a", "image": "i"},
            {"app": "a", "like": {"name": "web"}},
            {"deploymentRef": {"name": "d"}},
        ],
        [{"app": "a"}, {"app": "a", "template": {}}],
    ),
    "the image is told in one way": (
        [{}, {"image": "i"}, {"like": {"name": "web"}}],
        [{"image": "i", "like": {"name": "web"}}],
    ),
    "a Deployment that exists already keeps its pods": (
        [
            {"app": "a", "image": "i", "template": {}},
            {"deploymentRef": {"name": "d"}, "concurrency": 2, "longestTask": "1h"},
        ],
        [
            {"deploymentRef": {"name": "d"}, name: value}
            for name, value in {
                "app": "a",
                "image": "i",
                "like": {"name": "web"},
                "className": "c",
                "template": {},
                "python": "p",
                "entrypoint": ["e"],
            }.items()
        ],
    ),
    "acknowledgement is the application's with deploymentRef": (
        [
            {},
            {"acks": "late"},
            {"deploymentRef": {"name": "d"}},
            {"deploymentRef": {"name": "d"}, "acks": "app"},
        ],
        [{"deploymentRef": {"name": "d"}, "acks": acks} for acks in ("late", "early")],
    ),
    "a solo worker has one slot": (
        [
            {"pool": "solo"},
            {"pool": "solo", "concurrency": 1},
            {"pool": "threads", "concurrency": 9},
        ],
        [{"pool": "solo", "concurrency": 2}],
    ),
    "a moment of silence is no death": (["15s", "1m", "1h30m"], ["1s", "14s", "900ms"]),
    "the smallest number is not above the largest": (
        [{"minReplicas": 0, "maxReplicas": 1}, {"minReplicas": 5, "maxReplicas": 5}],
        [{"minReplicas": 50, "maxReplicas": 40}],
    ),
    "a fleet may have a worker": ([1, 10], [0]),
    "there is one target": (
        [{"maxWait": "30s"}, {"backlogPerReplica": 10}],
        [{}, {"maxWait": "30s", "backlogPerReplica": 10}],
    ),
    "a cron expression has five fields": (
        ["0 2 * * *", "*/5 1-3 1,15 JAN MON#1", "x x x x x"],
        ["", "0 2 * *", "0 2 * * * *", "@daily", "0  2 * * *", " 0 2 * * *", "daily at two"],
    ),
    "what may lower a fleet says to what": (
        [
            {"behavior": "currentReplicasIfHigher"},
            {"behavior": "currentReplicas"},
            {"behavior": "static", "replicas": 0},
            {"behavior": "currentReplicasIfLower", "replicas": 3},
        ],
        [{"behavior": "static"}, {"behavior": "currentReplicasIfLower"}],
    ),
    "a toleration of all keys asks for Exists": (
        [{"key": "k", "operator": "Equal"}, {"operator": "Exists"}],
        [{"operator": "Equal"}, {"operator": "Equal", "value": "v"}],
    ),
    "Exists takes no value": (
        [{"operator": "Exists"}, {"operator": "Equal", "value": "v"}, {"operator": "Equal"}],
        [{"operator": "Exists", "value": "v"}],
    ),
    "only NoExecute is borne for a time": (
        [{}, {"effect": "NoSchedule"}, {"effect": "NoExecute", "tolerationSeconds": 300}],
        [{"tolerationSeconds": 300}, {"effect": "NoSchedule", "tolerationSeconds": 0}],
    ),
}

PAIRS = [
    pytest.param(rule, node, keeps, id=f"{rule.name}: {node!r}"[:120])
    for rule in EVERY_RULE
    for nodes, keeps in zip(CASES.get(rule.name, ([], [])), (True, False), strict=True)
    for node in nodes
]
BROKEN = [
    pytest.param(rule, node, id=rule.name) for rule in EVERY_RULE for node in CASES[rule.name][1]
]


def test_every_rule_has_nodes_that_keep_it_and_nodes_that_break_it() -> None:
    assert {rule.name for rule in EVERY_RULE} == set(CASES)
    assert all(good and bad for good, bad in CASES.values())


@pytest.mark.parametrize(("rule", "node", "keeps"), PAIRS)
def test_cel_and_python_agree(rule: Rule, node: Any, keeps: bool, evaluate: Evaluate) -> None:
    assert rule.holds(node) is keeps
    assert bool(evaluate(rule.cel, node)) is keeps


@pytest.mark.parametrize(("rule", "node"), BROKEN)
def test_cel_and_python_say_the_same_sentence(rule: Rule, node: Any, evaluate: Evaluate) -> None:
    entry = rule.to_crd()
    said = evaluate(entry["messageExpression"], node) if "messageExpression" in entry else None

    assert rule.message(node) == (entry["message"] if said is None else str(said))


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: rule.name)
def test_a_rule_declares_every_member_that_it_reads(rule: Rule) -> None:
    read = set(re.findall(r"self\.([a-zA-Z.]+)(?![a-zA-Z.]*\()", rule.cel))
    read -= {name for name in read if any(other.startswith(f"{name}.") for other in read)}

    for name in read if rule.reads else ():
        assert any(name == known or name.startswith(f"{known}.") for known in rule.reads) or any(
            known.startswith(f"{name}.") for known in rule.reads
        )


@given(st.text(alphabet="0123456789hms.- ", max_size=12))
@example("1h30m")
@example("0ms")
def test_any_text_is_a_duration_for_cel_exactly_when_it_is_for_us(text: str) -> None:
    from_cel = re.search(duration.PATTERN, text) is not None and text != ""

    assert duration.is_duration(text) == from_cel
