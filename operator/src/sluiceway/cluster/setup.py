"""What keeps a TaskQueue from being set up as it is written."""

from __future__ import annotations

from sluiceway.report.resource import SetupProblem


class SetupError(Exception):
    """The TaskQueue cannot be set up; its fleet is kept as it is."""

    def __init__(
        self,
        reason: str,
        sentence: str,
        *,
        person_must_act: bool = True,
        concerned: frozenset[str] = frozenset(),
    ) -> None:
        """Keep what the conditions say.

        Args:
            concerned: other TaskQueues that are to be settled anew.
        """
        super().__init__(sentence)
        self.problem = SetupProblem(
            reason=reason, sentence=sentence, person_must_act=person_must_act
        )
        self.concerned = concerned
