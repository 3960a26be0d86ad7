"""Where a fleet's messages lie, and how its application lays them out in Redis."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from sluiceway.api.duration import PositiveDuration
from sluiceway.api.model import Model, Name, Text


class SecretKey(Model):
    """One entry of a Secret or ConfigMap of the same namespace."""

    name: Name = Field(description="Name of the Secret or ConfigMap.", examples=["redis"])
    key: Name = Field(description="The entry that holds the address.", examples=["url"])


class UrlFrom(Model):
    """Where the broker's address is to be read. Exactly one is given."""

    secret_key_ref: SecretKey | None = Field(
        default=None,
        description=(
            "An entry of a Secret in the same namespace. The right place for an address "
            "with a password."
        ),
    )
    config_map_key_ref: SecretKey | None = Field(
        default=None,
        description="An entry of a ConfigMap in the same namespace.",
    )
    env: Name | None = Field(
        default=None,
        description=(
            "A variable of the worker's own environment, so that the address is told in one "
            "place: where the application reads it. In local mode it is a variable of the "
            "environment in which `sluiceway local` runs."
        ),
        examples=["CELERY_BROKER_URL"],
    )


class BrokerTls(Model):
    """What the operator needs to read an encrypted broker."""

    secret_name: Name = Field(
        description=(
            "A Secret of the same namespace, as cert-manager writes it: ca.crt says whom to "
            "trust; tls.crt and tls.key are shown where the broker asks for a client certificate."
        ),
        examples=["redis-tls"],
    )


class Broker(Model):
    """The Redis that carries the queues, as the application is configured for it."""

    url: Text | None = Field(
        default=None,
        description=(
            "Address of the broker: redis://, rediss:// (TLS) or sentinel://, with the "
            "database's number as path. With sentinel:// the name under which the Sentinels know "
            "the server follows as ?master_name=, or stands in masterName. An address with a "
            "password belongs in a Secret (urlFrom.secretKeyRef). Give url or urlFrom, not both. "
            "With neither, local mode starts an embedded server of its own; in a cluster the fleet "
            "is held where it is and its status says what is missing."
        ),
        examples=["redis://redis:6379/0"],
    )
    url_from: UrlFrom | None = Field(
        default=None,
        description="Read the address from a Secret, a ConfigMap or the worker's environment.",
    )
    tls: BrokerTls | None = Field(
        default=None,
        description=(
            "Certificates for the operator's own connection to a rediss:// broker; the files that "
            "the address names are the workers'. Local mode does not look at it. Default: what "
            "the address says."
        ),
    )
    master_name: Text | None = Field(
        default=None,
        description=(
            "The name under which the Sentinels know the server, where a sentinel:// address does "
            "not end in ?master_name=. The same as `master_name` in the application's "
            "broker_transport_options: whoever else reads that address, such as a web application, "
            "cannot have the name in it."
        ),
        examples=["mymaster"],
    )
    key_prefix: Annotated[str, StringConstraints(max_length=128)] = Field(
        default="",
        description=(
            "Text before all of the application's keys. The same as `global_keyprefix` in its "
            "broker_transport_options. Default: none."
        ),
        examples=["shop:"],
    )
    priority_steps: tuple[Annotated[int, Field(ge=0, le=9)], ...] = Field(
        default=(0, 3, 6, 9),
        min_length=1,
        max_length=10,
        description=(
            "The priorities for which a queue has a list of its own, rising from 0 (the most "
            "urgent). The same as `priority_steps` in the application's "
            "broker_transport_options; the default is Celery's."
        ),
    )
    separator: Annotated[str, StringConstraints(min_length=1, max_length=16)] = Field(
        default="\x06\x16",
        description=(
            "What stands between a queue's name and the priority in the names of those lists. "
            "The same as `sep` in the application's broker_transport_options; the default is "
            "Celery's, two control characters."
        ),
    )
    visibility_timeout: PositiveDuration | None = Field(
        default=None,
        description=(
            "After this time a message that was taken and not acknowledged is delivered again. "
            "The same as `visibility_timeout` in the application's broker_transport_options, "
            "where it is in seconds. It must be longer than worker.longestTask. Default: not "
            "given here, and then Celery's 1h is assumed until a worker reports its own."
        ),
        examples=["3h"],
    )
