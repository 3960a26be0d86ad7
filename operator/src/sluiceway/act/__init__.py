"""act: carries a decision out, and does nothing where the world already matches."""
