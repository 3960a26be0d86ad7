"""What a PromQL expression asks for, read by a parser and not by eye."""

from __future__ import annotations

from dataclasses import dataclass, field

import promql_parser as promql


@dataclass(frozen=True)
class Asked:
    """The names in one expression."""

    metrics: list[str] = field(default_factory=list)
    """Each metric as often as it is asked for."""
    risen: list[str] = field(default_factory=list)
    """Those of them that are asked for over a range, as counters are."""
    matched: list[tuple[str, str, str]] = field(default_factory=list)
    """(metric, label, value) of each matcher."""
    grouped: set[str] = field(default_factory=set)
    """Labels of the aggregations."""


def asked(expression: str) -> Asked:
    """Read an expression.

    Raises:
        ValueError: it is none, or a function is given what it does not take.
    """
    found = Asked()

    def visit(node: promql.Expr) -> bool:
        if isinstance(node, promql.MatrixSelector):
            # What it selects is visited next.
            found.risen.append(str(node.vector_selector.name))
        elif isinstance(node, promql.VectorSelector):
            name = str(node.name)
            found.metrics.append(name)
            found.matched.extend((name, one.name, one.value) for one in node.matchers.matchers)
        elif isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            found.grouped.update(node.modifier.labels)
        return True

    promql.walk(promql.parse(expression), visit)
    return found
