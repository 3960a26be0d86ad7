"""decide: a pure function from spec, observation and history to a Decision."""

from sluiceway.decide.chain import decide

__all__ = ["decide"]
