"""`sluiceway convert`: what becomes of ScaledObjects and HPAs, and what is said of the rest."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from click.testing import Result
from typer.testing import CliRunner

from sluiceway.api.validate import validate
from sluiceway.cli.convert import convert
from sluiceway.cli.output import ExitCode
from sluiceway.convert.bundle import bundle_of
from sluiceway.convert.hpa import convert_autoscaler
from sluiceway.convert.keda import convert_scaled_object
from sluiceway.convert.result import Draft, NotConvertibleError

FILES = Path(__file__).resolve().parents[1] / "data" / "convert"


def objects(*names: str) -> list[Any]:
    return [
        obj
        for name in names
        for obj in yaml.safe_load_all((FILES / f"{name}.yaml").read_text(encoding="utf-8"))
    ]


def converted(*names: str) -> Draft:
    bundle = bundle_of(objects(*names))
    if bundle.scaled_objects:
        return convert_scaled_object(bundle.scaled_objects[0], bundle)
    return convert_autoscaler(bundle.autoscalers[0], bundle)


def trigger(**changes: Any) -> Draft:
    """One trigger on a plain list, changed in its metadata."""
    metadata = {"address": "redis:6379", "listName": "exports", "listLength": "5"} | changes
    scaled = {
        "kind": "ScaledObject",
        "metadata": {"name": "exports"},
        "spec": {
            "scaleTargetRef": {"name": "worker"},
            "triggers": [{"type": "redis", "metadata": metadata}],
        },
    }
    return convert_scaled_object(scaled, bundle_of([scaled]))


def said(draft: Draft, words: str) -> list[str]:
    return [remark for remark in draft.remarks if words in remark]


def run(*names: str) -> Result:
    app = typer.Typer()
    app.command()(convert)
    return CliRunner().invoke(app, [str(FILES / f"{name}.yaml") for name in names])


def test_a_tuned_scaledobject_becomes_a_taskqueue_with_all_that_has_a_counterpart() -> None:
    assert converted("keda", "deployment").body() == {
        "apiVersion": "sluiceway.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": "exports", "namespace": "shop"},
        "spec": {
            "queues": ["exports", "reports"],
            "broker": {"urlFrom": {"env": "CELERY_BROKER_URL"}},
            "worker": {
                "deploymentRef": {"name": "export-worker"},
                "pool": "threads",
                "concurrency": 4,
                "longestTask": "10m",
            },
            "scaling": {
                "target": {"backlogPerReplica": 5},
                "minReplicas": 1,
                "maxReplicas": 40,
                "cooldownPeriod": "2m",
                "schedules": [
                    {
                        "cron": "0 2 * * *",
                        "timezone": "Europe/Paris",
                        "duration": "2h",
                        "minReplicas": 5,
                    }
                ],
                "fallback": {"failureThreshold": 3, "replicas": 4, "behavior": "static"},
                "behavior": {
                    "scaleDown": {
                        "stabilizationWindowSeconds": 120,
                        "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}],
                    }
                },
            },
        },
    }


@pytest.mark.parametrize(
    "words",
    [
        "activationListLength (2) has no counterpart",
        "several lists of one queue are its priorities",
        "pollingInterval (5) is not needed",
        "the trigger cpu has no counterpart",
        "fallback.behavior is KEDA's default, static",
        "behavior.scaleUp is not given",
        "restoreToOriginalReplicaCount: set it to false before",
        "remove spec.replicas from the manifest",
        "also take from reports (-Q)",
        "backlogPerReplica counts what waits and what runs",
    ],
)
def test_what_has_no_counterpart_or_must_be_done_by_hand_is_said_once(words: str) -> None:
    assert len(said(converted("keda", "deployment"), words)) == 1


def test_a_password_that_keda_keeps_apart_becomes_a_secret_that_is_to_be_made() -> None:
    draft = converted("keda")

    assert draft.spec["broker"] == {
        "urlFrom": {"secretKeyRef": {"name": "exports-broker", "key": "url"}}
    }
    (remark,) = said(draft, "make the Secret exports-broker")
    assert "--from-literal='url=redis://:PASSWORD@redis:6379/1'" in remark


def test_sentinel_own_priorities_and_certificates_are_taken_along() -> None:
    draft = converted("sentinel")

    assert draft.spec["queues"] == ["videos", "shop:thumbnails"]
    assert draft.spec["broker"]["prioritySteps"] == [0, 5]
    assert draft.spec["broker"]["tls"] == {"secretName": "redis-tls"}
    assert draft.spec["scaling"]["paused"] == {"replicas": 2}
    (remark,) = said(draft, "kubectl create secret")
    assert "sentinel-0:26379;sentinel://sentinel-1:26379/0?master_name=mymaster" in remark


@pytest.mark.parametrize(
    "words",
    [
        "different listLengths (10, 20)",
        "global_keyprefix",
        "podIdentity of the ClusterTriggerAuthentication redis-tls",
        "idleReplicaCount (0) becomes minReplicas",
        "initialCooldownPeriod (60)",
        "scalingModifiers",
        "the Deployment video-worker was not among the files",
    ],
)
def test_rarer_things_are_said_too(words: str) -> None:
    assert len(said(converted("sentinel"), words)) == 1


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, "redis://redis:6379/0"),
        ({"enableTLS": "true", "databaseIndex": "3"}, "rediss://redis:6379/3"),
        (
            {"address": None, "host": "redis", "port": "6380", "unsafeSsl": "true"},
            "redis://redis:6380/0?ssl_cert_reqs=none",
        ),
    ],
    ids=["plain", "TLS", "host and port"],
)
def test_an_address_without_a_password_is_written_as_a_url(
    changes: dict[str, Any], url: str
) -> None:
    assert trigger(**changes).spec["broker"] == {"url": url}


def test_a_length_for_all_workers_together_is_said_to_be_read_as_one_for_each() -> None:
    scaled = copy.deepcopy(objects("keda")[1])
    scaled["spec"]["triggers"][0]["metricType"] = "Value"

    assert said(convert_scaled_object(scaled, bundle_of([scaled])), "metricType Value")


def test_an_address_that_only_the_pods_know_becomes_a_secret_that_is_to_be_made() -> None:
    draft = trigger(address=None, addressFromEnv="REDIS_HOST")

    assert "secretKeyRef" in draft.spec["broker"]["urlFrom"]
    assert said(draft, "url=redis://:PASSWORD@HOST:6379/0")


def test_an_hpa_on_a_queues_length_becomes_a_taskqueue() -> None:
    draft = converted("hpa", "deployment")

    assert draft.spec["queues"] == ["exports", "reports"]
    assert draft.spec["broker"] == {"urlFrom": {"env": "CELERY_BROKER_URL"}}
    assert draft.spec["scaling"]["target"] == {"backlogPerReplica": 10}
    assert draft.spec["scaling"]["minReplicas"] == 2
    assert draft.spec["scaling"]["behavior"] == {
        "scaleUp": {"policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}
    }
    assert said(draft, "the metric cpu has no counterpart")


def test_an_hpa_on_the_cpu_alone_aims_at_a_waiting_time_and_takes_the_pods_queues() -> None:
    bundle = bundle_of(objects("hpa", "deployment"))
    autoscaler = copy.deepcopy(dict(bundle.autoscalers[0]))
    autoscaler["spec"]["metrics"] = autoscaler["spec"]["metrics"][1:]

    draft = convert_autoscaler(autoscaler, bundle)

    assert draft.spec["scaling"]["target"] == {"maxWait": "30s"}
    assert draft.spec["queues"] == ["exports", "reports"]
    assert said(draft, "no metric tells how much waits")


def test_the_default_grace_of_pods_is_told_as_too_short() -> None:
    bundle = bundle_of(objects("hpa", "deployment"))
    pod = bundle.deployments[0]["spec"]["template"]["spec"]
    del pod["terminationGracePeriodSeconds"]

    draft = convert_autoscaler(bundle.autoscalers[0], bundle)

    assert draft.spec["worker"]["longestTask"] == "30s"
    assert said(draft, "ended by force 30 s after they were told to go")


@pytest.mark.parametrize(
    "command",
    [
        ["celery", "-A", "shop", "worker", "-Qexports,reports", "-c4"],
        ["sh", "-c", "exec celery -A shop worker --queues=exports,reports --concurrency 4"],
    ],
    ids=["short options", "by a shell"],
)
def test_queues_and_slots_are_read_from_any_form_of_the_command(command: list[str]) -> None:
    bundle = bundle_of(objects("hpa", "deployment"))
    container = bundle.deployments[0]["spec"]["template"]["spec"]["containers"][1]
    container["command"], container["args"] = command, []

    draft = convert_autoscaler(bundle.autoscalers[0], bundle)

    assert draft.spec["queues"] == ["exports", "reports"]
    assert draft.spec["worker"]["concurrency"] == 4


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            {"scaleTargetRef": {"name": "w", "kind": "StatefulSet"}, "triggers": []},
            "it scales a StatefulSet, and a TaskQueue scales a Deployment",
        ),
        (
            {"scaleTargetRef": {"name": "w"}, "triggers": [{"type": "rabbitmq", "metadata": {}}]},
            r"it has no trigger on a Redis list \(its triggers: rabbitmq\)",
        ),
        (
            {
                "scaleTargetRef": {"name": "w"},
                "triggers": [
                    {"type": "redis", "metadata": {"listName": "a", "address": "one:6379"}},
                    {"type": "redis", "metadata": {"listName": "b", "address": "two:6379"}},
                ],
            },
            "its triggers name several brokers",
        ),
    ],
    ids=["a StatefulSet", "another broker", "two brokers"],
)
def test_what_cannot_become_a_taskqueue_is_refused_with_what_to_do(
    spec: dict[str, Any], sentence: str
) -> None:
    scaled = {"kind": "ScaledObject", "metadata": {"name": "exports"}, "spec": spec}

    with pytest.raises(NotConvertibleError, match=sentence):
        convert_scaled_object(scaled, bundle_of([scaled]))


@pytest.mark.parametrize(
    "names", [("keda",), ("keda", "deployment"), ("sentinel",), ("hpa",), ("hpa", "deployment")]
)
def test_the_command_writes_valid_taskqueues_with_their_remarks_as_comments(
    names: tuple[str, ...],
) -> None:
    result = run(*names)

    (body,) = yaml.safe_load_all(result.stdout)
    assert result.exit_code == ExitCode.OK
    assert validate(body, in_cluster=True) == []
    comment = "".join(
        line.removeprefix("#").strip()
        for line in result.stdout.splitlines()
        if line.startswith("#")
    )
    for line in result.stderr.splitlines():
        remark = line.partition(f"/{body['metadata']['name']}: ")[2]
        assert remark.replace(" ", "") in comment.replace(" ", "")


def test_the_hpa_that_keda_made_itself_is_left_alone() -> None:
    own = copy.deepcopy(objects("hpa")[0])
    own["metadata"]["ownerReferences"] = [{"kind": "ScaledObject", "name": "exports"}]

    assert bundle_of([own, *objects("hpa")]).autoscalers == objects("hpa")


def test_the_command_converts_the_rest_where_one_cannot_be(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "kind: ScaledObject\nmetadata: {name: mail}\nspec: {scaleTargetRef: {name: w}}\n",
        encoding="utf-8",
    )
    app = typer.Typer()
    app.command()(convert)

    result = CliRunner().invoke(app, [str(bad), str(FILES / "keda.yaml")])

    assert result.exit_code == ExitCode.PROBLEMS
    assert [body["metadata"]["name"] for body in yaml.safe_load_all(result.stdout)] == ["exports"]
    assert "ScaledObject/mail: it has no trigger on a Redis list" in result.stderr


def test_files_with_nothing_to_convert_are_told() -> None:
    result = run("deployment")

    assert str(result.exception) == "no ScaledObject and no HorizontalPodAutoscaler among the files"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("[1]", "ScaledObject/mail: spec: [1] is not fields: write fields"),
        ("{scaleTargetRef: w}", "spec.scaleTargetRef: 'w' is not fields"),
        ("{triggers: {type: redis}}", "spec.triggers: {'type': 'redis'} is not a list"),
        ("{triggers: [redis]}", "spec.triggers[0]: 'redis' is not fields"),
        ("{maxReplicaCount: many}", "spec.maxReplicaCount: 'many' is not a whole number"),
        ("{cooldownPeriod: 5m}", "spec.cooldownPeriod: '5m' is not a whole number from 0 on"),
        (
            "{triggers: [{type: redis, metadata: {listName: mail, listLength: ten}}]}",
            "spec.triggers[0].metadata.listLength: 'ten' is not a whole number from 0 on",
        ),
    ],
)
def test_a_field_of_a_wrong_type_is_named_with_its_value(
    spec: str, told: str, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        f"kind: ScaledObject\nmetadata: {{name: mail}}\nspec: {spec}\n", encoding="utf-8"
    )
    app = typer.Typer()
    app.command()(convert)

    result = CliRunner().invoke(app, [str(bad)])

    assert result.exit_code == ExitCode.PROBLEMS
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("Deployment", "spec", "one"),
        ("TriggerAuthentication", "spec", "one"),
        ("ScaledObject", "metadata", "one"),
    ],
)
def test_no_object_of_a_wrong_shape_ends_in_a_traceback(
    kind: str, field: str, value: str, tmp_path: Path
) -> None:
    given = objects("keda", "deployment")
    for one in given:
        if one["kind"] == kind:
            one[field] = value
    bad = tmp_path / "bad.yaml"
    bad.write_text(yaml.safe_dump_all(given), encoding="utf-8")
    app = typer.Typer()
    app.command()(convert)

    result = CliRunner().invoke(app, [str(bad)])

    assert result.exit_code == ExitCode.PROBLEMS, result.output
    assert "ScaledObject" in result.stderr
