"""Which WorkerClass a TaskQueue gets."""

from __future__ import annotations

from typing import Any

import pytest

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.api.workerclass import WorkerClass
from sluiceway.workload.classes import class_of
from sluiceway.workload.unmakeable import UnmakeableError, Why


def workerclass(name: str, **spec: Any) -> WorkerClass:
    return WorkerClass.from_outside({"metadata": {"name": name}, "spec": spec})


def taskqueue(class_name: str | None = None) -> TaskQueue:
    named = {"className": class_name} if class_name is not None else {}
    return TaskQueue.from_outside(
        {
            "metadata": {"name": "videos", "namespace": "shop"},
            "spec": {"worker": {"app": "tasks", "image": "shop:1", **named}},
        }
    )


def chosen(class_name: str | None, *classes: WorkerClass) -> str | None:
    found = class_of(taskqueue(class_name), classes)
    return found.metadata.name if found is not None else None


LIGHT = workerclass("light", default=True)
HEAVY = workerclass("heavy", allowedNamespaces=["shop"])
ELSEWHERE = workerclass("elsewhere", allowedNamespaces=["bank"])


@pytest.mark.parametrize(
    ("named", "classes", "result"),
    [
        ("heavy", (LIGHT, HEAVY), "heavy"),
        (None, (LIGHT, HEAVY), "light"),
        (None, (HEAVY,), None),
        (None, (), None),
        (None, (LIGHT, workerclass("b", default=True, allowedNamespaces=["bank"])), "light"),
    ],
)
def test_a_taskqueue_gets_the_class_it_names_or_the_default(
    named: str | None, classes: tuple[WorkerClass, ...], result: str | None
) -> None:
    assert chosen(named, *classes) == result


@pytest.mark.parametrize(
    ("named", "classes", "why", "sentence"),
    [
        (
            "haevy",
            (LIGHT, HEAVY, ELSEWHERE),
            Why.CLASS_NOT_FOUND,
            "worker.className: there is no WorkerClass haevy: write one of heavy, light, or "
            "create it",
        ),
        (
            "heavy",
            (),
            Why.CLASS_NOT_FOUND,
            "worker.className: there is no WorkerClass heavy: none is offered here, or create it",
        ),
        (
            "elsewhere",
            (LIGHT, ELSEWHERE),
            Why.CLASS_NOT_ALLOWED,
            "worker.className: the WorkerClass elsewhere is not for the namespace shop: write "
            "one of light, or add shop to the class's allowedNamespaces",
        ),
        (
            None,
            (workerclass("b", default=True), LIGHT),
            Why.SEVERAL_DEFAULTS,
            "worker.className is not given, and several WorkerClasses are the default (b, "
            "light): name one of them, or leave default: true to one",
        ),
    ],
)
def test_a_class_that_cannot_be_had_is_told_with_its_mend(
    named: str | None, classes: tuple[WorkerClass, ...], why: Why, sentence: str
) -> None:
    with pytest.raises(UnmakeableError) as told:
        chosen(named, *classes)
    assert (told.value.why, told.value.sentence) == (why, sentence)
