"""From YAML to objects: many documents, other kinds beside ours, and bad YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluiceway.api.load import InvalidError, UnreadableError, load, read
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.api.workerclass import WorkerClass

EXPORTS = """
apiVersion: sluiceway.dev/v1alpha1
kind: TaskQueue
metadata: {name: exports, namespace: shop}
spec: {worker: {app: shop.tasks, longestTask: 1h30m}, scaling: {target: {maxWait: 5s}}}
"""
LIGHT = """
apiVersion: sluiceway.dev/v1alpha1
kind: WorkerClass
metadata: {name: light}
spec: {default: true, resources: {requests: {cpu: 2}}}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {replicas: nonsense}
"""


def test_a_text_of_many_documents_becomes_its_objects_in_order() -> None:
    exports, light = load(f"{EXPORTS}---\n{LIGHT}---\n")

    assert isinstance(exports, TaskQueue)
    assert exports.key == "shop/exports"
    assert exports.queues == ("exports",)
    assert exports.spec.worker.longest_task == 5400.0
    assert exports.spec.scaling.target.max_wait == 5.0
    assert isinstance(light, WorkerClass)
    assert light.spec.resources.requests == {"cpu": "2"}


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "queues.yaml"
    path.write_text(EXPORTS, encoding="utf-8")

    assert [obj.metadata.name for obj in load(path)] == ["exports"]


def test_other_kinds_beside_ours_are_left_alone_and_counted() -> None:
    documents = read(f"{DEPLOYMENT}---\n{EXPORTS}")

    assert [(d.name, d.ours) for d in documents] == [
        ("Deployment/web", False),
        ("TaskQueue/shop/exports", True),
    ]
    assert len(load(f"{DEPLOYMENT}---\n{EXPORTS}")) == 1


def test_a_list_as_kubectl_writes_it_is_read_item_by_item() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- " + EXPORTS.strip().replace("\n", "\n  ")

    assert [obj.metadata.name for obj in load(text)] == ["exports"]


@pytest.mark.parametrize("items", ["5", "{a: b}", "", "text"])
def test_a_list_without_a_list_is_one_object_that_is_nobody_s(items: str) -> None:
    (document,) = read(f"apiVersion: v1\nkind: List\nitems: {items}\n")

    assert (document.kind, document.ours) == ("List", False)


def test_json_is_yaml_too() -> None:
    text = (
        '{"apiVersion": "sluiceway.dev/v1alpha1", "kind": "TaskQueue", '
        '"metadata": {"name": "a"}, "spec": {"worker": {"app": "a"}}}'
    )

    assert len(load(text)) == 1


def test_all_problems_of_all_documents_are_in_the_error() -> None:
    bad = EXPORTS.replace("maxWait: 5s", "maxWait: 5")
    other = LIGHT.replace("cpu: 2", "cpu: two")

    with pytest.raises(InvalidError) as caught:
        load(f"{bad}---\n{other}")

    first, second = caught.value.lines
    assert first.startswith("<text>: TaskQueue/shop/exports: spec.scaling.target.maxWait: Invalid")
    assert second.startswith("<text>: WorkerClass/light: spec.resources.requests[cpu]: Invalid")


def test_an_object_that_stands_twice_is_a_problem() -> None:
    with pytest.raises(InvalidError, match=r"metadata\.name: .* is taken by an object further up"):
        load(f"{EXPORTS}---\n{EXPORTS}")


def test_a_name_may_be_used_again_in_another_namespace() -> None:
    assert len(load(f"{EXPORTS}---\n{EXPORTS.replace('shop,', 'x,').replace('shop}', 'x}')}")) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", r"<text>:1:9: not YAML: expected ',' or '\]'"),
        ("a:\n\t- b", r"<text>:2:1: not YAML: found character '\\t'"),
        (
            "spec:\n  a: 1\n  b: 2\n  a: 3",
            r"<text>:4:3: not YAML: a is written twice, first in line 2",
        ),
        ("cron: * * * * *", r"<text>:1:8: not YAML: .*: put a text that begins with \* in quotes"),
        ("a: &a [*a]", r"<text>: not YAML"),
        ("a: .inf", r"<text>: not YAML"),
        ("a: !!python/object:os.system {}", r"<text>:1:4: not YAML"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(UnreadableError, match=message):
        load(text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load(tmp_path / "nowhere.yaml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "picture.yaml"
    path.write_bytes(b"\xff\xd8\xff")

    with pytest.raises(UnreadableError, match=r"picture\.yaml: cannot be read: it is not UTF-8"):
        load(path)


def test_times_and_dates_stay_text_as_kubernetes_reads_them() -> None:
    documents = read(
        "apiVersion: sluiceway.dev/v1alpha1\nkind: TaskQueue\n"
        "metadata: {name: a, annotations: {released: 2026-01-31}}\n"
        "spec: {worker: {app: a}, scaling: {target: {maxWait: 1:30}}}"
    )

    (problem,) = documents[0].verdict.problems
    assert problem.value == "1:30"


@pytest.mark.parametrize("text", ["queues.yaml", "- a", "3"])
def test_a_document_that_is_no_object_is_a_problem(text: str) -> None:
    with pytest.raises(InvalidError, match="a document must be an object"):
        load(text)


def test_an_object_without_a_head_is_a_problem_only_where_it_looks_like_ours() -> None:
    with pytest.raises(InvalidError, match="add kind: TaskQueue"):
        load("metadata: {name: a}\nspec: {worker: {app: a}}")
    assert load("replicaCount: 1") == []


def test_an_empty_text_has_no_objects() -> None:
    assert load("---\n# nothing\n---\n") == []
