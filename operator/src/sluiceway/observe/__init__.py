"""gather: everything a decision needs, read into one frozen Observation."""
