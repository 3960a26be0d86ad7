"""simulate: what a rule for the number of workers would have done on a trace, and its cost."""
