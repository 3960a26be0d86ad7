"""The base of all models of the API: closed, frozen, camelCase outside.

A model has two sides. Outside is what users write and Kubernetes stores: camelCase,
durations as «30s». Inside is what the rest of the program works with: snake_case,
durations as seconds. JSON mode is the outside: ``from_outside`` and ``to_outside``
go through it, the constructor does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]
"""The name of a Kubernetes object, or of something inside one."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""A short text that must not be empty."""

OpenObject = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
]
"""An object whose members are not declared here, and are handed on as they are."""


class Model(BaseModel):
    """Closed (an unknown field is an error), frozen, with two sides as told above."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )

    @classmethod
    def from_outside(cls, body: Mapping[str, Any]) -> Self:
        """Read what a user wrote, as parsed YAML or JSON.

        Nothing is converted silently: ``"40"`` is no number, as for an API server.

        Raises:
            pydantic.ValidationError: with every structural error in ``body``.
        """
        return cls.model_validate_json(json.dumps(body), strict=True, by_alias=True, by_name=False)

    def to_outside(self) -> dict[str, Any]:
        """What a user would write for this, without what is left at its default."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
