"""Why no workload can be made of a TaskQueue, for its conditions.

The fleet that exists is kept as it is in all of these cases.
"""

from __future__ import annotations

import enum


class Why(enum.Enum):
    """The condition's reason, one word for programs."""

    CLASS_NOT_FOUND = "WorkerClassNotFound"
    CLASS_NOT_ALLOWED = "WorkerClassNotAllowed"
    SEVERAL_DEFAULTS = "SeveralDefaultWorkerClasses"
    NO_SUCH_CONTAINER = "NoSuchContainer"
    CONTAINER_NOT_NAMED = "ContainerNotNamed"


class UnmakeableError(Exception):
    """A TaskQueue that a person must change, or something that it names.

    Args:
        why: the reason for programs.
        sentence: for people; it names the field and the mend.
    """

    def __init__(self, why: Why, sentence: str) -> None:
        super().__init__(sentence)
        self.why = why
        self.sentence = sentence
