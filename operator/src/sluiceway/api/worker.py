"""What runs in a fleet's workers, and how long one task may run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sluiceway.api.duration import PositiveDuration
from sluiceway.api.model import Model, Name, OpenObject, Text

GRACE_MARGIN_S = 30.0
"""Added to ``longestTask`` before a worker that was told to go is ended by force: for
giving back what waits, and for the last acknowledgement."""


class Like(Model):
    """A Deployment whose pods the workers take after."""

    name: Name = Field(
        description="Name of the Deployment, in the same namespace.", examples=["web"]
    )
    container: Name | None = Field(
        default=None,
        description=(
            "The container to take after. Default: the Deployment's only one; with several it "
            "must be named."
        ),
        examples=["app"],
    )


class DeploymentRef(Model):
    """A Deployment that the team already has, scaled through its scale subresource."""

    name: Name = Field(
        description="Name of the Deployment, in the same namespace.", examples=["video-worker"]
    )
    pod_hints: bool = Field(
        default=False,
        description=(
            "Whether Sluiceway may annotate this Deployment's pods, so that Kubernetes removes "
            "idle ones first (controller.kubernetes.io/pod-deletion-cost) and leaves busy ones "
            "where they are."
        ),
    )


class Worker(Model):
    """The workers: app with image or like, or a deploymentRef that replaces both."""

    app: Text | None = Field(
        default=None,
        description=(
            "The Celery application, as for `celery -A`. Required, except with deploymentRef."
        ),
        examples=["sluiceway_sample.tasks"],
    )
    image: Text | None = Field(
        default=None,
        description=(
            "The application's own image. In a cluster give image or like; local mode needs "
            "neither and runs the application of the Python environment that it is told."
        ),
        examples=["registry.example/shop:1.4"],
    )
    class_name: Name | None = Field(
        default=None,
        description=(
            "The WorkerClass that says which nodes the workers run on and what they ask for. "
            "Default: the class that is marked as the default, if there is one."
        ),
        examples=["high-cpu"],
    )
    concurrency: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description=(
            "How many tasks one worker runs at the same time (its slots), as for `celery "
            "worker -c`. Default: one for each CPU that the worker may use; one with pool solo."
        ),
        examples=[4],
    )
    pool: Literal["prefork", "solo", "threads", "gevent"] = Field(
        default="prefork",
        description=(
            "How a worker runs tasks side by side, as for `celery worker -P`: prefork "
            "(processes) for work on the CPU, threads or gevent for waiting on others, solo "
            "for one task at a time."
        ),
    )
    longest_task: PositiveDuration = Field(
        default=600.0,
        description=(
            "The longest that one task may run. A worker that has to go is given this time, "
            "and a margin, to finish (terminationGracePeriodSeconds). It must be below "
            "broker.visibilityTimeout, or a long task is delivered twice."
        ),
    )
    acks: Literal["late", "early", "app"] | None = Field(
        default=None,
        description=(
            "Who decides when a message is acknowledged. late: after the task, so that a task "
            "is run again when its worker dies; tasks must bear being run twice. early: before "
            "the task, so that it is never run twice and is lost when its worker dies. app: as "
            "the application says for each task. Default: app where Sluiceway brings the agent "
            "(agent: inject) and with deploymentRef, otherwise late."
        ),
    )
    agent: Literal["inject", "image", "none"] = Field(
        default="inject",
        description=(
            "Where the worker's agent comes from, which reports what runs and drains workers "
            "without loss. inject: Sluiceway lays it on a read-only mount beside the image; "
            "image: sluiceway-worker is installed in the image; none: a plain Celery worker, "
            "of which only what Redis shows is known. With deploymentRef nothing is laid into the "
            "pods: write image where sluiceway-worker is in theirs."
        ),
    )
    max_deliveries: int = Field(
        default=3,
        ge=1,
        le=100,
        description=(
            "After so many deaths of a worker while it ran a message, by an exit code, a signal "
            "or for want of memory, the message is kept as a dead letter and not given out again "
            "(`sluiceway dead`). Evictions, drains and lost nodes do not count."
        ),
    )
    unproven_death_after: PositiveDuration | None = Field(
        default=None,
        description=(
            "What a worker holds is given to others as soon as its container is known to have "
            "ended, or its node is gone or tainted out-of-service. Where nobody can say so, after "
            "this long without a heartbeat, at least 15s. Default: broker.visibilityTimeout, or 1h."
        ),
        examples=["30m"],
    )
    python: Text | None = Field(
        default=None,
        description=(
            "The image's Python interpreter, where it is not the first `python` on the path."
        ),
        examples=["/app/.venv/bin/python"],
    )
    entrypoint: tuple[Text, ...] = Field(
        default=(),
        max_length=32,
        description=(
            "A command of the image that the worker's command is handed to, for images whose "
            "entrypoint prepares the environment. Default: none, the worker is started directly."
        ),
        examples=[["/docker-entrypoint.sh"]],
    )
    # The type of a pod template is larger than all the rest of this API, and what is new in
    # Kubernetes would be cut off: checks.py looks at its shape instead.
    template: OpenObject = Field(
        default_factory=dict,
        description=(
            "A pod template (metadata and spec) laid over the generated one: environment, "
            "volumes, sidecars. The worker's own container is named `worker`; lists are merged "
            "by name. Default: nothing."
        ),
        examples=[{"spec": {"containers": [{"name": "worker", "env": []}]}}],
    )
    like: Like | None = Field(
        default=None,
        description=(
            "In place of image: take image, environment, volumes, pull secrets and service "
            "account from another Deployment, such as the web's, and follow them. A release "
            "then changes one image in one place."
        ),
    )
    deployment_ref: DeploymentRef | None = Field(
        default=None,
        description=(
            "In place of app and image: scale a Deployment that exists already, as the HPA and "
            "KEDA do. Its pods stay as they are."
        ),
    )

    @property
    def acks_in_force(self) -> Literal["late", "early", "app"]:
        """``acks``, or its default: an application that was not written for it must not
        silently run tasks twice."""
        if self.acks is not None:
            return self.acks
        unasked = self.agent == "inject" or self.deployment_ref is not None
        return "app" if unasked else "late"

    @property
    def grace_s(self) -> float:
        """Seconds that a worker which was told to go is given before it is ended by force."""
        return self.longest_task + GRACE_MARGIN_S
