"""decide: a pure function from spec, observation and history to a Decision."""
