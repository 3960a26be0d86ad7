"""The storefront, installed by its chart, as its visitors meet it and as its ledger counts."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

import redis
from testcluster.kubectl import Kubectl

from stage.streams import forwarded
from stage.until import HANGS_S, until

BEAT = "storefront-beat-0"
PERIOD_S = 20.0
"""Between Beat's tasks, as tests/e2e/storefront has it."""
WORKERS = 4
"""As many at most."""
HELD = -1.0
"""As an order's seconds: until ``Storefront.release``."""
WEB = "app.kubernetes.io/instance=storefront,app.kubernetes.io/component=web"
LOGIN = "somebody:secret"
"""Flower's."""


class Tick(NamedTuple):
    """One task of Beat's."""

    at: float
    """When it was sent by Beat's own books, seconds since 1970."""
    number: int
    """How often it was sent by then."""
    pod: str
    """The uid of Beat's pod."""


class Storefront:
    """A burst of orders from outside, and what became of each."""

    def __init__(self, kubectl: Kubectl, stack: ExitStack) -> None:
        """Ports that are forwarded stay so until the stack is left."""
        self.kubectl = kubectl
        self._stack = stack
        valkey = stack.enter_context(forwarded(kubectl, "pod/storefront-valkey-0", 6379))
        self.ledger = redis.Redis(host="127.0.0.1", port=valkey, db=1, socket_timeout=HANGS_S)
        stack.callback(self.ledger.close)
        self.ids: list[str] = []
        """Of all orders so far."""
        self._results: set[str] = set()

    def reach_web(self, image: str) -> str:
        """The address of a pod of the web that runs this image, and stays."""

        def ask() -> list[str]:
            return [
                pod["metadata"]["name"]
                for pod in self.kubectl.items("pods", f"--selector={WEB}")
                if pod["spec"]["containers"][0]["image"] == image
                and "deletionTimestamp" not in pod["metadata"]
            ]

        pod = until(ask, that=f"a web of {image} is there")[0]
        port = self._stack.enter_context(forwarded(self.kubectl, f"pod/{pod}", 8000))
        return f"http://127.0.0.1:{port}"

    def reach_flower(self) -> str:
        """Flower's address."""
        port = self._stack.enter_context(forwarded(self.kubectl, "service/storefront-flower", 5555))
        return f"http://127.0.0.1:{port}"

    def burst(self, web: str, count: int, *, seconds: float) -> None:
        """So many visitors at once, each of whom wants something slow."""

        def ask(_: int) -> str:
            headers = {"Seconds": str(seconds)}
            request = urllib.request.Request(f"{web}/orders", method="POST", headers=headers)
            with urllib.request.urlopen(request, timeout=HANGS_S) as answer:
                assert answer.status == 202
                return str(json.load(answer)["id"])

        with ThreadPoolExecutor(8) as visitors:
            self.ids += visitors.map(ask, range(count))

    def begin_orders(self, web: str) -> None:
        """Orders of all kinds; returns when every worker is at one that is held."""
        self.ledger.delete("released")
        begun = len(self.runs("began"))
        self.burst(web, 2 * WORKERS, seconds=HELD)
        self.burst(web, 20, seconds=1.0)
        until(
            lambda: len(self.runs("began")) >= begun + WORKERS,
            that=f"{WORKERS} workers are at an order",
        )

    def await_results(self, web: str) -> None:
        """Return when the web has a result for every order so far."""
        until(lambda: not self._without_result(web), that="every order has a result", every_s=1)

    def _without_result(self, web: str) -> list[str]:
        """Those that still have none; the others are asked for once only."""

        def ask(one: str) -> str:
            try:
                return str(json.loads(fetched(f"{web}/orders/{one}"))["state"])
            except OSError:
                return "no answer"  # A visitor asks again.

        waiting = [one for one in self.ids if one not in self._results]
        with ThreadPoolExecutor(8) as visitors:
            states = dict(zip(waiting, visitors.map(ask, waiting), strict=True))
        assert "FAILURE" not in states.values()
        self._results |= {one for one, state in states.items() if state == "SUCCESS"}
        return [one for one in waiting if one not in self._results]

    def busy(self) -> set[str]:
        """The pods that are at an order."""
        began, ended = self.runs("began"), self.runs("ended")
        return {
            pod for one, what, pod in self._rows() if what == "began" and began[one] > ended[one]
        }

    def known_to_flower(self, flower: str) -> set[str]:
        """The pods whose workers have answered Flower, which asks them all again."""
        text = fetched(f"{flower}/api/workers?refresh=true", login=LOGIN)
        return {
            name.rpartition("@")[2] for name, said in json.loads(text).items() if "stats" in said
        }

    def runs(self, event: str) -> Counter[str]:
        """How often that happened to each order, by the ledger."""
        return Counter(one for one, what, _ in self._rows() if what == event)

    def _rows(self) -> list[tuple[str, str, str]]:
        return [tuple(json.loads(row)) for row in self.ledger.lrange("runs", 0, -1)]

    def release(self) -> None:
        """Let the held orders go."""
        self.ledger.set("released", 1)

    def ticks(self) -> list[Tick]:
        """All that Beat has sent."""
        return [Tick(*json.loads(row)) for row in self.ledger.lrange("ticks", 0, -1)]

    def await_ticks(self, count: int) -> None:
        """Return when the Beat that is there now has sent so many."""
        uid = self.kubectl.get("pod", BEAT)["metadata"]["uid"]
        until(
            lambda: sum(tick.pod == uid for tick in self.ticks()) >= count,
            that=f"this Beat has sent {count}",
        )


def page(url: str, *, login: str | None = None) -> int:
    """The status that a page answers with."""
    try:
        fetched(url, login=login)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def fetched(url: str, *, login: str | None = None) -> bytes:
    """What a page answers.

    Raises:
        HTTPError: its status is none of success.
    """
    headers = {}
    if login is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=HANGS_S) as answer:
        return bytes(answer.read())
